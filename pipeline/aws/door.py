"""boto3, bounded: every client has timeouts, every failure becomes an error with a fix."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.aws.refusals import ALREADY_MADE, NOT_YET_KNOWN, is_not_found, refusal
from pipeline.calls import Call
from pipeline.config import Environment
from pipeline.errors import AwsRefused, AwsUnreachable, PipelineError

TRIES_FOR_WHAT_IS_NOT_YET_KNOWN = 6
RUNTIME = "sagemaker-runtime"


@dataclass
class Door:
    """AWS as one environment sees it. `made` lists the sentences of all writes so far."""

    env: Environment
    sleep: Callable[[float], None] = time.sleep
    made: list[str] = field(default_factory=list)
    before_write: Callable[[], None] = lambda: None  # raises when this run may change nothing any more
    _clients: dict[str, Any] = field(default_factory=dict)

    def apply(self, call: Call) -> dict[str, Any]:
        """Make a planned write; waits, bounded, for names that AWS does not know everywhere yet."""
        self.before_write()
        for tries_left in reversed(range(TRIES_FOR_WHAT_IS_NOT_YET_KNOWN)):
            try:
                answer = self.read(call.service, call.operation, **call.params)
            except AwsRefused as error:
                if error.message.startswith(ALREADY_MADE):
                    return {}
                if tries_left == 0 or not error.message.startswith(NOT_YET_KNOWN):
                    raise
                self.sleep(2.0)
            else:
                self.made.append(call.says)
                return answer
        raise AssertionError("unreachable: the last try returns or raises")

    def read(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Ask AWS. Raises AwsRefused with AWS's own code and text, or AwsUnreachable."""
        try:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**params)
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
        """Yield every `member` of a listing, page after page."""
        try:
            for page in self._client(service).get_paginator(operation).paginate(**params):
                yield from page.get(member, [])
        except (ClientError, BotoCoreError) as error:
            raise explained(f"{service} {operation}", error) from error

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            # An invocation is never repeated: a second try would hide what the first one met.
            retries = {"total_max_attempts": 1} if service == RUNTIME else {"max_attempts": 5}
            config = Config(
                region_name=self.env.aws.region,
                retries={"mode": "standard", **retries},
                connect_timeout=10,
                read_timeout=70,  # SageMaker gives a model 60 s
            )
            self._clients[service] = boto3.client(service, config=config)
        return self._clients[service]


def explained(doing: str, error: ClientError | BotoCoreError) -> PipelineError:
    """Turn what boto3 raises into an error with a fix."""
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return refusal(doing, said.get("Code", "?"), said.get("Message", ""))
    return AwsUnreachable(
        f"{doing}: {error}",
        fix="Check network, credentials (`aws sts get-caller-identity`) and AWS_ENDPOINT_URL.",
    )
