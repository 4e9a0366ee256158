"""The questions that the pipeline asks AWS by name, typed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pipeline.aws.calls import Call
from pipeline.aws.door import RUNTIME, Door


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered: which release, which instance, and the body."""

    release: str | None
    instance: str | None
    body: bytes


class Aws(Door):
    """AWS as one environment sees it."""

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Say whose credentials these are, as STS does; asked once."""
        return self.read("sts", "get_caller_identity")

    def account_id(self) -> str:
        """Say which account the credentials belong to."""
        return str(self.identity["Account"])

    def caller_arn(self) -> str:
        """Say whose the credentials are."""
        return str(self.identity["Arn"])

    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        """Describe an endpoint; None when there is none of that name."""
        return self.find("sagemaker", "describe_endpoint", EndpointName=name)

    def invoke(self, endpoint: str, body: bytes, content_type: str = "application/json") -> Answer:
        """Ask the endpoint once, without a retry. Raises AwsRefused for an error of the model."""
        answer = self.read(
            RUNTIME,
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
