"""AWS behind one client: boto3 with bounded time-outs and retries, and typed questions.

boto3 tries a call six times within about 15 s. Throttling, errors within AWS and a lost network are retried here
for another minute: a deployment of half an hour does not end because AWS was busy for half a minute.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from golden import Request
from pipeline.aws.calls import Call
from pipeline.aws.clock import Clock
from pipeline.aws.cloudwatch import dimensions
from pipeline.aws.invocation import RUNTIME, Answer, invoke
from pipeline.aws.refusals import (
    ALREADY_MADE,
    NOT_YET_KNOWN,
    explained,
    is_already_deleted,
    is_not_found,
    is_passing,
)
from pipeline.config import AwsPlace
from pipeline.errors import AwsRefused

TRIES_FOR_WHAT_IS_NOT_YET_KNOWN = 6
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 2.0
SESSION = "pipeline"
T = TypeVar("T")


@dataclass
class AwsClient:
    """The AWS of one account and Region. `made` lists the sentences of all writes so far.

    `role`: assumed for every call; None: the credentials of the process. `before_write` is called before every write, and raises when this run may not write any more.
    """

    place: AwsPlace
    clock: Clock = field(default_factory=Clock)
    made: list[str] = field(default_factory=list)
    before_write: Callable[[], None] = lambda: None
    role: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict, init=False)
    _making_clients: threading.Lock = field(default_factory=threading.Lock, init=False)
    _has_answered: bool = field(default=False, init=False)

    def apply(self, call: Call) -> dict[str, Any]:
        """Make a planned write. A name that AWS does not know everywhere yet is waited for, bounded."""
        self.before_write()
        for tries_left in reversed(range(TRIES_FOR_WHAT_IS_NOT_YET_KNOWN)):
            try:
                answer = self.read(call.service, call.operation, **call.params)
            except AwsRefused as error:
                if error.message.startswith(ALREADY_MADE) or is_already_deleted(call, error):
                    return {}
                if tries_left == 0 or not error.message.startswith(NOT_YET_KNOWN):
                    raise
                self.clock.sleep(PAUSE_SECONDS)
            else:
                self.made.append(call.says)
                return answer
        raise AssertionError("unreachable: the last try returns or raises")

    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Call AWS. Raises AwsRefused with AWS's own code and text, or AwsUnreachable."""
        return self._patiently(
            service, operation, lambda: getattr(self._client(service), operation)(**params)
        )

    def find(self, service: str, operation: str, /, **params: Any) -> dict[str, Any] | None:
        """Return one resource of AWS; None when it does not exist."""
        try:
            return self.read(service, operation, **params)
        except AwsRefused as error:
            if is_not_found(error):
                return None
            raise

    def pages(self, service: str, operation: str, member: str, /, **params: Any) -> Iterator[dict[str, Any]]:
        """Return every `member` of a listing, of all its pages."""
        pages = self._client(service).get_paginator(operation)
        return self._patiently(
            service,
            operation,
            lambda: iter([each for page in pages.paginate(**params) for each in page.get(member, [])]),
        )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Return the owner of the credentials, as STS describes it; read once."""
        return self.read("sts", "get_caller_identity")

    def account_id(self) -> str:
        """Return the account of the credentials."""
        return str(self.identity["Account"])

    def caller_arn(self) -> str:
        """Return the ARN of the credentials' owner."""
        return str(self.identity["Arn"])

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        """Describe an endpoint; None when there is none of that name."""
        return self.find("sagemaker", "describe_endpoint", EndpointName=name)

    def invoke(self, endpoint: str, request: Request) -> Answer:
        """Invoke the endpoint once, without a retry: a second try would hide the error of the first one.

        The error of a model is an answer with its own status. Raises AwsRefused for any other, and AwsUnreachable.
        """
        return invoke(self._client(RUNTIME), endpoint, request)

    def metric(
        self,
        name: tuple[str, str],
        watched: Mapping[str, str],
        stat: str,
        period_seconds: int,
        between: tuple[float, float],
    ) -> list[tuple[float, float]]:
        """Return a metric as [(epoch seconds, value)], oldest first; empty where nothing was published.

        `name`: namespace and name. `watched`: its dimensions. `between`: start and end, epoch seconds.
        """
        metric = {"Namespace": name[0], "MetricName": name[1], "Dimensions": dimensions(watched)}
        query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": period_seconds, "Stat": stat}}
        start, end = (datetime.fromtimestamp(at, UTC) for at in between)
        which = {
            "MetricDataQueries": [query],
            "StartTime": start,
            "EndTime": end,
            "ScanBy": "TimestampAscending",
        }
        return sorted(
            (at.timestamp(), float(value))
            for result in self.pages("cloudwatch", "get_metric_data", "MetricDataResults", **which)
            for at, value in zip(result["Timestamps"], result["Values"], strict=True)
        )

    def alarms(self, *, prefix: str = "", names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Describe metric alarms by prefix or by names; no names, no alarms."""
        if not prefix and not names:
            return []
        which: dict[str, Any] = {"AlarmNamePrefix": prefix} if prefix else {"AlarmNames": list(names)}
        return list(self.pages("cloudwatch", "describe_alarms", "MetricAlarms", **which))

    def scaling_activities(self, endpoint: str, variant: str) -> list[dict[str, Any]]:
        """List the activities of autoscaling on a variant, newest first."""
        which = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{endpoint}/variant/{variant}"}
        listed = self.pages(
            "application-autoscaling", "describe_scaling_activities", "ScalingActivities", **which
        )
        return list(listed)

    def put_json(self, key: str, document: Any, *, only_if_new: bool = False) -> None:
        """Write one JSON document to the release bucket; `only_if_new` refuses to replace one."""
        params: dict[str, Any] = {"Bucket": self.place.bucket, "Key": key}
        params["Body"] = (json.dumps(document, indent=2) + "\n").encode()
        params["ContentType"] = "application/json"
        if only_if_new:
            params["IfNoneMatch"] = "*"
        self.apply(Call("s3", "put_object", params, f"write s3://{self.place.bucket}/{key}"))

    def get_json(self, key: str) -> Any | None:
        """Read one JSON document from the release bucket; None when there is none."""
        found = self.find("s3", "get_object", Bucket=self.place.bucket, Key=key)
        return None if found is None else json.loads(found["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        """List the keys under a prefix of the release bucket, sorted."""
        listed = self.pages("s3", "list_objects_v2", "Contents", Bucket=self.place.bucket, Prefix=prefix)
        return sorted(each["Key"] for each in listed)

    def _patiently(self, service: str, operation: str, ask: Callable[[], T]) -> T:
        """Ask again, for a minute, while the error may pass. No network at start-up fails immediately."""
        give_up = self.clock.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = ask()
            except (ClientError, BotoCoreError) as error:
                is_new = not self._has_answered and not isinstance(error, ClientError)
                if is_new or not is_passing(error) or self.clock.monotonic() > give_up:
                    raise explained(f"{service} {operation}", error) from error
                self.clock.sleep(PAUSE_SECONDS)
            else:
                self._has_answered = True
                return answer

    def make_client(self, service: str) -> Any:
        """Make boto3's client of a service, with bounded retries and time-outs."""
        retries = {"total_max_attempts": 1} if service == RUNTIME else {"max_attempts": 5}
        config = Config(
            region_name=self.place.region,
            retries={"mode": "standard", **retries},
            connect_timeout=10,
            read_timeout=70,  # SageMaker gives a model 60 s
            max_pool_connections=16,  # as many as a deployment's golden requests at once
        )
        keys = {} if self.role is None else self._keys
        return boto3.client(service, config=config, **keys)

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Assume the role. Raises ClientError where it is not there, or does not trust the caller."""
        asked = {"RoleArn": str(self.role), "RoleSessionName": SESSION}
        config = Config(region_name=self.place.region, connect_timeout=10, read_timeout=70)
        given = boto3.client("sts", config=config).assume_role(**asked)["Credentials"]
        names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey"}
        return {to: given[name] for to, name in {**names, "aws_session_token": "SessionToken"}.items()}

    def _client(self, service: str) -> Any:
        with self._making_clients:  # boto3 makes one at a time
            if service not in self._clients:
                self._clients[service] = self.make_client(service)
            return self._clients[service]
