"""A simulation for tests of scaling: fleets in memory, a clock moved by hand, and real alarms."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import botocore.session
from botocore.model import Shape
from moto.cloudwatch.models import cloudwatch_backends

from local_aws.autoscaling import Autoscaling
from local_aws.clock import Clock
from local_aws.cloudwatch import Alarms, MetricStore, install
from local_aws.cloudwatch.rules import AlarmRule
from local_aws.errors import AwsError
from local_aws.protocols import VariantState
from local_aws.settings import ACCOUNT_ID, REGION

MODEL = botocore.session.get_session().get_service_model("application-autoscaling")
RESOURCE = "endpoint/digits/variant/AllTraffic"
IDENTITY = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": RESOURCE,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
METRIC = ("AWS/SageMaker", "InvocationsPerInstance", {"EndpointName": "digits", "VariantName": "AllTraffic"})
TARGET = 600.0


class HandClock(Clock):
    """A clock that moves when told to; one real second is a minute of AWS's."""

    def __init__(self) -> None:
        super().__init__(scale=60.0)
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at


@dataclass
class InMemoryFleets:
    """Endpoints whose instances come when `settle` is called; `refuses` is what SageMaker would say."""

    variants: dict[tuple[str, str], VariantState] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    refuses: AwsError | None = None

    def variant(self, endpoint: str, variant: str) -> VariantState | None:
        return self.variants.get((endpoint, variant))

    def set_desired_count(self, endpoint: str, variant: str, count: int) -> None:
        state = self.variants[endpoint, variant]
        if self.refuses is not None:
            raise self.refuses
        assert state.endpoint_status == "InService"
        self.asked.append(count)
        self.variants[endpoint, variant] = replace(state, endpoint_status="Updating", desired=count)

    def settle(self) -> None:
        for name, state in self.variants.items():
            self.variants[name] = replace(state, endpoint_status="InService", current=state.desired)


class ScalingSimulation:
    """One endpoint of two instances, its metric, its alarms and its autoscaling."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.store = MetricStore(self.clock)
        install(lambda _: self.store)
        self.alarms = Alarms()
        self.fleets = InMemoryFleets(
            {("digits", "AllTraffic"): VariantState("InService", "ml.m5.large", 2, 2)}
        )
        self.service = Autoscaling(self.alarms, self.fleets, self.clock)

    def call(self, action: str, **request: Any) -> dict[str, Any]:
        """Call one action; request and answer must satisfy botocore's model."""
        operation = MODEL.operation_model(action)
        answer = asyncio.run(self.service.handle(action, request))
        check_shape(operation.output_shape, answer)
        return answer

    def register(self, minimum: int = 1, maximum: int = 8, **more: Any) -> str:
        arn: str = self.call(
            "RegisterScalableTarget", **IDENTITY, MinCapacity=minimum, MaxCapacity=maximum, **more
        )["ScalableTargetARN"]
        return arn

    def track(self, name: str = "load", **more: Any) -> dict[str, Any]:
        return self.call("PutScalingPolicy", **policy(name, **more))

    def minutes(self, count: int, load: float, *, settle: bool = True) -> None:
        """Pass so many AWS minutes with `load` invocations per instance in each."""
        for _ in range(count):
            self.store.put(*METRIC, load, at=self.clock.at)
            self.clock.at += 1
            self.alarms.tick()
            self.service.tick()
            if settle:
                self.fleets.settle()
                self.service.tick()

    def pass_minutes(self, count: float) -> None:
        """Pass AWS minutes in which nothing is measured."""
        self.clock.at += count
        self.alarms.tick()
        self.service.tick()

    def alarm_rules(self) -> dict[str, AlarmRule]:
        """Return the rules of all metric alarms by name."""
        alarms = cloudwatch_backends[ACCOUNT_ID][REGION].alarms
        return {name: alarm.rule for name, alarm in alarms.items() if isinstance(alarm.rule, AlarmRule)}

    def activities(self, **more: Any) -> list[dict[str, Any]]:
        answer = self.call("DescribeScalingActivities", ServiceNamespace="sagemaker", **more)
        found: list[dict[str, Any]] = answer["ScalingActivities"]
        return found


def check_shape(shape: Shape, value: Any) -> None:
    """Fail where an answer has a field that the API does not know, lacks one, or has another type."""
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), set(value) - set(shape.members)
        assert set(shape.required_members) <= set(value)
        for name, member in value.items():
            check_shape(shape.members[name], member)
    elif shape.type_name == "list":
        for member in value:
            check_shape(shape.member, member)
    elif shape.type_name == "timestamp":
        assert isinstance(value, float)
    else:
        kinds: dict[str, Any] = {
            "string": str,
            "integer": int,
            "double": (int, float),
            "boolean": bool,
            "map": dict,
        }
        assert isinstance(value, kinds[shape.type_name]), (shape.name, value)


def policy(name: str = "load", **configuration: Any) -> dict[str, Any]:
    tracking = {
        "TargetValue": TARGET,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }
    return {
        "PolicyName": name,
        **IDENTITY,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking | configuration,
    }
