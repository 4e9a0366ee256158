"""boto3, bounded: every client has timeouts, every failure becomes an error with a fix.

boto3 tries a call six times within about 15 s. What passes (throttling, errors within AWS, a lost network) is
tried again here for a minute: a deployment of half an hour does not end because AWS was busy for half a minute.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.aws.calls import Call
from pipeline.aws.refusals import (
    ALREADY_GONE,
    ALREADY_MADE,
    NOT_YET_KNOWN,
    is_not_found,
    is_passing,
    refusal,
)
from pipeline.config import Environment
from pipeline.errors import AwsRefused, AwsUnreachable, PipelineError

TRIES_FOR_WHAT_IS_NOT_YET_KNOWN = 6
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 2.0
RUNTIME = "sagemaker-runtime"
T = TypeVar("T")


@dataclass
class Door:
    """AWS as one environment sees it. `made` lists the sentences of all writes so far."""

    env: Environment
    sleep: Callable[[float], None] = time.sleep
    made: list[str] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    before_write: Callable[[], None] = lambda: None  # raises when this run may change nothing any more
    _clients: dict[str, Any] = field(default_factory=dict)
    _has_answered: bool = False

    def apply(self, call: Call) -> dict[str, Any]:
        """Make a planned write; waits, bounded, for names that AWS does not know everywhere yet."""
        self.before_write()
        for tries_left in reversed(range(TRIES_FOR_WHAT_IS_NOT_YET_KNOWN)):
            try:
                answer = self.read(call.service, call.operation, **call.params)
            except AwsRefused as error:
                if error.message.startswith(ALREADY_MADE) or _is_gone(call, error):
                    return {}
                if tries_left == 0 or not error.message.startswith(NOT_YET_KNOWN):
                    raise
                self.sleep(2.0)
            else:
                self.made.append(call.says)
                return answer
        raise AssertionError("unreachable: the last try returns or raises")

    def read(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Ask AWS. Raises AwsRefused with AWS's own code and text, or AwsUnreachable.

        An invocation is asked once: a second try would hide what the first one met.
        """
        client = self._client(service)
        if service != RUNTIME:
            return self._patiently(service, operation, lambda: getattr(client, operation)(**params))
        try:
            answer: dict[str, Any] = getattr(client, operation)(**params)
        except (ClientError, BotoCoreError) as error:
            raise explained(f"{service} {operation}", error) from error
        return answer

    def find(self, service: str, operation: str, **params: Any) -> dict[str, Any] | None:
        """Ask AWS for one thing; None when it says that there is no such thing."""
        try:
            return self.read(service, operation, **params)
        except AwsRefused as error:
            if is_not_found(error):
                return None
            raise

    def pages(self, service: str, operation: str, member: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Return every `member` of a listing, of all its pages."""
        pages = self._client(service).get_paginator(operation)
        return self._patiently(
            service,
            operation,
            lambda: iter([each for page in pages.paginate(**params) for each in page.get(member, [])]),
        )

    def _patiently(self, service: str, operation: str, ask: Callable[[], T]) -> T:
        """Ask again, for a minute, while what goes wrong may pass. A network that was never there does not."""
        give_up = self.clock() + PATIENCE_SECONDS
        while True:
            try:
                answer = ask()
            except (ClientError, BotoCoreError) as error:
                is_new = not self._has_answered and not isinstance(error, ClientError)
                if is_new or not is_passing(error) or self.clock() > give_up:
                    raise explained(f"{service} {operation}", error) from error
                self.sleep(PAUSE_SECONDS)
            else:
                self._has_answered = True
                return answer

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            retries = {"total_max_attempts": 1} if service == RUNTIME else {"max_attempts": 5}
            config = Config(
                region_name=self.env.aws.region,
                retries={"mode": "standard", **retries},
                connect_timeout=10,
                read_timeout=70,  # SageMaker gives a model 60 s
            )
            self._clients[service] = boto3.client(service, config=config)
        return self._clients[service]


def _is_gone(call: Call, error: AwsRefused) -> bool:
    """Say whether a deletion found nothing: an earlier try, whose answer was lost, has done it."""
    return call.operation.startswith(ALREADY_GONE) and is_not_found(error)


def explained(doing: str, error: ClientError | BotoCoreError) -> PipelineError:
    """Turn what boto3 raises into an error with a fix."""
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return refusal(doing, said.get("Code", "?"), said.get("Message", ""))
    return AwsUnreachable(
        f"{doing}: {error}",
        fix="Check network, credentials (`aws sts get-caller-identity`) and AWS_ENDPOINT_URL.",
    )
