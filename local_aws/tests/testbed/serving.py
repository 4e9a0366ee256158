"""A driver for tests of endpoints: make, update, invoke and delete them, with bounded waits."""

import json
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conformance.account import AwsAccount
from local_aws import Running
from local_aws.testing import CONTRACT_SERVER, wait_until
from testbed.traffic import Answer, Traffic

TINY_TRAIN = (sys.executable, str(Path(__file__).with_name("tiny_train") / "train"))


SETTINGS: dict[str, Any] = {
    "instances": "process",
    "process_command": CONTRACT_SERVER,
    "train_command": TINY_TRAIN,
    "endpoint_quotas": "ml.c5.xlarge=3",
    "time_scale": 300,
    "cpu_scale": 1,
    "ping_interval_seconds": 0.1,
    "unhealthy_after": 2,
    "alarm_poll_seconds": 0.02,
    "stop_grace_seconds": 2,
}


SETTLED = {"InService", "Failed", "UpdateRollbackFailed"}


NO_RETRY = Config(retries={"total_max_attempts": 1}, max_pool_connections=50)


def refused(code: str, call: Callable[..., Any], **request: Any) -> str:
    """Make a call that must fail with `code`; return AWS's sentence."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])


class Serving:
    """A driver of endpoints of the contract server on one AWS; it deletes them at the end.

    An `AwsAccount` may be on any AWS; a running AWS of this machine also has a status (`aws`).
    """

    def __init__(self, where: Running | AwsAccount) -> None:
        self.account = (
            where if isinstance(where, AwsAccount) else AwsAccount(where.client, SETTINGS["time_scale"])
        )
        if isinstance(where, Running):
            self.aws = where
        self.client = where.client
        self.sagemaker = where.client("sagemaker", config=NO_RETRY)
        self.runtime = where.client("sagemaker-runtime", config=NO_RETRY)
        self._endpoints: list[str] = []

    def name(self, kind: str) -> str:
        """Make a name up that is free."""
        prefix = f"{self.account.prefix}-" if self.account.prefix else ""
        return f"{prefix}{kind}-{secrets.token_hex(4)}"

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Poll a condition for as long as this AWS may take."""
        return wait_until(condition, what, self.account.patience_seconds, self.account.poll_seconds)

    def role(self) -> dict[str, str]:
        """Return the execution role, for an AWS that needs one."""
        return {"ExecutionRoleArn": self.account.role} if self.account.role else {}

    def model(self, release: str = "one", **environment: str) -> str:
        name = self.name("model")
        container = self.container(RELEASE=release, **environment)
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, **self.role())
        return name

    def container(self, **environment: str) -> dict[str, Any]:
        return {"Image": self.account.image, "Environment": environment}

    def config(self, release: str = "one", instances: int = 1, **environment: str) -> str:
        return self.config_of(self.variant(self.model(release, **environment), instances))

    def config_of(self, *variants: dict[str, Any], **more: Any) -> str:
        name = self.name("config")
        request = {"EndpointConfigName": name, "ProductionVariants": list(variants), **more}
        self.sagemaker.create_endpoint_config(**request)
        return name

    def variant(
        self, model: str, instances: int = 1, name: str = "AllTraffic", **more: Any
    ) -> dict[str, Any]:
        routing = {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
        variant = {"VariantName": name, "ModelName": model, "InitialInstanceCount": instances}
        return {**variant, "InstanceType": "ml.m5.large", "RoutingConfig": routing, **more}

    def begin(self, config: str, **request: Any) -> str:
        """Create an endpoint without waiting for it."""
        name = self.name("endpoint")
        self._endpoints.append(name)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, **request)
        return name

    def endpoint(self, config: str, **request: Any) -> str:
        """Create an endpoint and wait until it is in service."""
        name = self.begin(config, **request)
        description = self.settled(name)
        assert description["EndpointStatus"] == "InService", description
        return name

    def error_alarm(self, endpoint: str, config: str) -> str:
        """Put an alarm on the 5XX ratio of one config's fleet, over 1 % for one minute; return its name."""
        name = self.name("errors")
        dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic", "EndpointConfigName": config}
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0.01,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )
        return name

    def update(self, endpoint: str, config: str, **request: Any) -> None:
        self.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **request)

    def describe(self, endpoint: str) -> dict[str, Any]:
        description: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=endpoint)
        return description

    def settled(self, endpoint: str) -> dict[str, Any]:
        """Wait until the running operation is over, and describe the endpoint."""

        def description() -> dict[str, Any] | None:
            found = self.describe(endpoint)
            return found if found["EndpointStatus"] in SETTLED else None

        settled: dict[str, Any] = self.wait_until(description, f"{endpoint} is settled")
        return settled

    def stage(self, endpoint: str, status: str) -> dict[str, Any]:
        """Wait until the pending variant is in a stage ("Baking"), and describe the endpoint."""

        def description() -> dict[str, Any] | None:
            found = self.describe(endpoint)
            pending = found.get("PendingDeploymentSummary", {"ProductionVariants": []})
            stages = [s["Status"] for v in pending["ProductionVariants"] for s in v.get("VariantStatus", [])]
            return found if status in stages else None

        staged: dict[str, Any] = self.wait_until(description, f"{endpoint} is {status}")
        return staged

    def invoke(self, endpoint: str, body: bytes = b"hello", **request: Any) -> Answer:
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **request)
        found = re.fullmatch(r"release=(.*);instance=(.*)", answer["CustomAttributes"])
        assert found is not None
        return Answer(found[1], found[2], answer["InvokedProductionVariant"], json.load(answer["Body"]))

    @contextmanager
    def traffic(self, endpoint: str, clients: int = 4) -> Iterator[Traffic]:
        """Send requests while the block runs, some hundred a second."""
        traffic, stop = Traffic(), threading.Event()

        def client() -> None:
            while not stop.wait(0.005):
                try:
                    traffic.answers.append(self.invoke(endpoint))
                except Exception as error:
                    traffic.failures.append(error)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield traffic
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def scaling_of(self, endpoint: str) -> dict[str, str]:
        """Name the instance count of an endpoint's variant, as Application Auto Scaling does."""
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }

    def scalable_target(self, endpoint: str) -> dict[str, str]:
        """Let the variant of an endpoint have one or two instances."""
        resource = self.scaling_of(endpoint)
        scaling = self.client("application-autoscaling")
        scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
        return resource

    def count(self, endpoint: str) -> int:
        """Count the instances of an endpoint that is settled; 0 while it is not."""
        description = self.describe(endpoint)
        settled = description["EndpointStatus"] == "InService"
        return int(description["ProductionVariants"][0]["CurrentInstanceCount"]) if settled else 0

    def alarm(self, state: str = "OK", name: str | None = None) -> str:
        """Make an alarm that stays in the state it is put in: its metric has no data."""
        name, cloudwatch = name or self.name("alarm"), self.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Tests",
            MetricName=name,
            Statistic="Average",
            Period=86400,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
        self.set_alarm(name, state)
        return name

    def set_alarm(self, name: str, state: str) -> None:
        self.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")

    def close(self) -> None:
        """Begin to delete what is left; the instances end beside the next test."""
        for name in self._endpoints:
            if any(e["EndpointStatus"] != "Deleting" for e in self._listed(name)):
                self.settled(name)
                self.sagemaker.delete_endpoint(EndpointName=name)

    def _listed(self, name: str) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        return listed
