"""The one door to AWS: nothing else in the pipeline imports boto3.

A write is a `Call` (planned elsewhere, by pure functions); `apply` makes it and remembers its sentence,
so that a step can say what it changed. Everything else here only reads.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.calls import Call
from pipeline.config import Environment
from pipeline.errors import AwsRefused, AwsUnreachable, PipelineError

__all__ = ["Answer", "Aws", "Call"]

# A name that was just made is not yet known everywhere: these refusals are worth a second try.
NOT_YET_KNOWN = ("Could not find model", "Could not find endpoint configuration", "Could not assume role")
TRIES_FOR_WHAT_IS_NOT_YET_KNOWN = 6

# Models and endpoint configs are named by their content: one that exists is the one that was wanted.
ALREADY_MADE = ("Cannot create already existing model", "Cannot create already existing endpoint conf")

NOT_FOUND_CODES = frozenset(
    {"404", "NoSuchKey", "NoSuchEntity", "NoSuchBucket", "ResourceNotFound", "ImageNotFoundException"}
    | {"RepositoryNotFoundException", "ObjectNotFoundException"}
)
NOT_FOUND_TEXTS = ("Could not find", "does not exist", "not found")


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered: which release, which instance, and the body."""

    release: str | None
    instance: str | None
    body: bytes


@dataclass
class Aws:
    """AWS as this environment sees it. `made` lists the sentences of all writes so far."""

    env: Environment
    sleep: Callable[[float], None] = time.sleep
    made: list[str] = field(default_factory=list)
    _clients: dict[str, Any] = field(default_factory=dict)

    def apply(self, call: Call) -> dict[str, Any]:
        """Make a planned write; waits, bounded, for names that AWS does not know everywhere yet."""
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
        doing = f"{service} {operation}"
        try:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**params)
        except ClientError as error:
            raise _refusal(doing, error) from error
        except BotoCoreError as error:
            raise AwsUnreachable(
                f"{doing}: {error}",
                fix="Check network, credentials (`aws sts get-caller-identity`) and AWS_ENDPOINT_URL.",
            ) from error
        return answer

    def find(self, service: str, operation: str, **params: Any) -> dict[str, Any] | None:
        """Ask AWS for one thing; None when it says that there is no such thing."""
        try:
            return self.read(service, operation, **params)
        except AwsRefused as error:
            if error.code in NOT_FOUND_CODES or _says_not_found(error):
                return None
            raise

    def pages(self, service: str, operation: str, member: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield every `member` of a listing, page after page."""
        try:
            for page in self._client(service).get_paginator(operation).paginate(**params):
                yield from page.get(member, [])
        except ClientError as error:
            raise _refusal(f"{service} {operation}", error) from error

    def account_id(self) -> str:
        """Say whose credentials these are."""
        return str(self.read("sts", "get_caller_identity")["Account"])

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        """Describe an endpoint; None when there is none of that name."""
        return self.find("sagemaker", "describe_endpoint", EndpointName=name)

    def invoke(self, endpoint: str, body: bytes, content_type: str = "application/json") -> Answer:
        """Ask the endpoint once, without a retry. Raises AwsRefused for an error of the model."""
        answer = self.read(
            "sagemaker-runtime",
            "invoke_endpoint",
            EndpointName=endpoint,
            Body=body,
            ContentType=content_type,
        )
        says = dict(
            part.split("=", 1) for part in answer.get("CustomAttributes", "").split(";") if "=" in part
        )
        return Answer(says.get("release"), says.get("instance"), answer["Body"].read())

    def metric(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        stat: str,
        period_seconds: int,
        start: float,
        end: float,
    ) -> list[tuple[float, float]]:
        """Return a metric as [(epoch seconds, value)], oldest first; empty where nothing was published."""
        metric = {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        }
        query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": period_seconds, "Stat": stat}}
        points: list[tuple[float, float]] = []
        for result in self.pages(
            "cloudwatch",
            "get_metric_data",
            "MetricDataResults",
            MetricDataQueries=[query],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
            ScanBy="TimestampAscending",
        ):
            points += [
                (at.timestamp(), float(value))
                for at, value in zip(result["Timestamps"], result["Values"], strict=True)
            ]
        return sorted(points)

    def alarms(self, *, prefix: str = "", names: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Describe metric alarms by prefix or by names; no names, no alarms."""
        if not prefix and not names:
            return []
        which: dict[str, Any] = {"AlarmNamePrefix": prefix} if prefix else {"AlarmNames": list(names)}
        return list(self.pages("cloudwatch", "describe_alarms", "MetricAlarms", **which))

    def scaling_activities(self, endpoint: str, variant: str) -> list[dict[str, Any]]:
        """List what autoscaling did with a variant, newest first."""
        return list(
            self.pages(
                "application-autoscaling",
                "describe_scaling_activities",
                "ScalingActivities",
                ServiceNamespace="sagemaker",
                ResourceId=f"endpoint/{endpoint}/variant/{variant}",
            )
        )

    def put_json(self, key: str, document: Any, *, only_if_new: bool = False) -> None:
        """Write one JSON document to the release bucket; `only_if_new` refuses to replace one."""
        params: dict[str, Any] = {"Bucket": self.env.aws.bucket, "Key": key}
        params["Body"] = (json.dumps(document, indent=2) + "\n").encode()
        params["ContentType"] = "application/json"
        if only_if_new:
            params["IfNoneMatch"] = "*"
        self.apply(Call("s3", "put_object", params, f"write s3://{self.env.aws.bucket}/{key}"))

    def get_json(self, key: str) -> Any | None:
        """Read one JSON document from the release bucket; None when there is none."""
        found = self.find("s3", "get_object", Bucket=self.env.aws.bucket, Key=key)
        return None if found is None else json.loads(found["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        """List the keys under a prefix of the release bucket, sorted."""
        listed = self.pages("s3", "list_objects_v2", "Contents", Bucket=self.env.aws.bucket, Prefix=prefix)
        return sorted(each["Key"] for each in listed)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            attempts = {"total_max_attempts": 1} if service == "sagemaker-runtime" else {"max_attempts": 5}
            read_timeout = 70 if service == "sagemaker-runtime" else 60
            config = Config(
                region_name=self.env.aws.region,
                retries={"mode": "standard", **attempts},
                connect_timeout=10,
                read_timeout=read_timeout,
            )
            self._clients[service] = boto3.client(service, config=config)
        return self._clients[service]


def _says_not_found(error: AwsRefused) -> bool:
    return error.code == "ValidationException" and any(text in error.message for text in NOT_FOUND_TEXTS)


def _refusal(doing: str, error: ClientError) -> PipelineError:
    code, message = error.response["Error"].get("Code", "?"), error.response["Error"].get("Message", "")
    if code in {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }:
        return AwsUnreachable(
            f"{doing}: {code}: {message}", fix="Get fresh credentials, then run the same command again."
        )
    fix = "Read the message; the same command can be run again once its cause is gone."
    if "AccessDenied" in code:
        fix = "Give the role of these credentials the permission that the message names."
    return AwsRefused(doing, code=code, message=message, fix=fix)
