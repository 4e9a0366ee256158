"""The four deployment strategies of SageMaker, and the waits of each."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.model import Model

Strategy = Literal["all_at_once", "canary", "linear", "rolling"]
Seconds = Annotated[int, Field(ge=0, le=3600)]


class Deployment(Model):
    """The strategy with its sizes in percent of the fleet; seconds are AWS's.

    `bake_seconds` follows every part of the traffic, `termination_wait_seconds` the last part, before the old
    fleet is deleted (a rolling deployment has no such wait: its old fleet is deleted batch by batch).
    `probe_requests_per_second`: golden requests that the deployment sends while both fleets serve, if they keep no more
    than a fifth of the fleet busy. `on_inconclusive`: the way of a bake that is too short to say whether the new fleet
    is worse.
    """

    strategy: Strategy
    canary_percent: Annotated[int, Field(ge=1, le=50)]
    linear_percent: Annotated[int, Field(ge=10, le=50)] | None = None
    batch_percent: Annotated[int, Field(ge=5, le=50)] | None = None
    rollback_batch_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    bake_seconds: Seconds
    termination_wait_seconds: Seconds
    maximum_execution_seconds: Annotated[int, Field(ge=600, le=28800)]
    probe_requests_per_second: Annotated[float, Field(gt=0, le=200)] = 20.0
    on_inconclusive: Literal["proceed", "roll_back"] = "proceed"

    @model_validator(mode="after")
    def _its_own_size_is_given(self) -> Self:
        for strategy, key in (("linear", "linear_percent"), ("rolling", "batch_percent")):
            if self.strategy == strategy and getattr(self, key) is None:
                raise ValueError(f"strategy {strategy} needs {key}")
        return self

    @property
    def parts_the_fleet(self) -> bool:
        """Say whether traffic moves in parts: each is at most half of the fleet."""
        return self.strategy != "all_at_once"

    @property
    def first_share(self) -> float:
        """Return the part of the fleet, 0 to 1, that gets the new release's first traffic."""
        percents = {
            "canary": self.canary_percent,
            "linear": self.linear_percent,
            "rolling": self.batch_percent,
            "all_at_once": 100,
        }
        return (percents[self.strategy] or 100) / 100

    def waits_seconds(self, instances: int) -> int:
        """Add up the waits of one deployment of a fleet of this size."""
        if self.strategy == "rolling":
            return self.bake_seconds * _parts(instances, self.batch_percent or 0)
        bakes = _parts(instances, self.linear_percent or 0) - 1 if self.strategy == "linear" else 1
        return self.bake_seconds * bakes + self.termination_wait_seconds

    def shared_seconds(self, instances: int) -> int:
        """Add up the bakes in which the old fleet of this size serves beside the new one."""
        if self.strategy == "all_at_once":
            return 0
        if self.strategy == "canary":
            return self.bake_seconds
        percent = self.linear_percent if self.strategy == "linear" else self.batch_percent
        return self.bake_seconds * (_parts(instances, percent or 0) - 1)

    def both_fleets(self, instances: int) -> int:
        """Return the most instances that run during a deployment: two whole fleets, or one and a batch."""
        if self.strategy == "rolling":
            return instances + _size(instances, self.batch_percent or 0)
        return 2 * instances

    def policy(self) -> dict[str, Any]:
        """Return the policy part of UpdateEndpoint's DeploymentConfig."""
        if self.strategy == "rolling":
            return {"RollingUpdatePolicy": self._rolling()}
        traffic: dict[str, Any] = {
            "Type": self.strategy.upper(),
            "WaitIntervalInSeconds": self.bake_seconds,  # required even for ALL_AT_ONCE
        }
        if self.strategy == "canary":
            traffic["CanarySize"] = _percent(self.canary_percent)
        if self.strategy == "linear":
            traffic["LinearStepSize"] = _percent(self.linear_percent)
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": traffic,
                "TerminationWaitInSeconds": self.termination_wait_seconds,
                "MaximumExecutionTimeoutInSeconds": self.maximum_execution_seconds,
            }
        }

    def _rolling(self) -> dict[str, Any]:
        rolling = {
            "MaximumBatchSize": _percent(self.batch_percent),
            "WaitIntervalInSeconds": self.bake_seconds,
            "MaximumExecutionTimeoutInSeconds": self.maximum_execution_seconds,
        }
        if self.rollback_batch_percent is not None:
            rolling["RollbackMaximumBatchSize"] = _percent(self.rollback_batch_percent)
        return rolling


def strategy_of(deployment_config: Mapping[str, Any] | None) -> Strategy | None:
    """Return the strategy of a DeploymentConfig that AWS describes; None for none."""
    if not deployment_config:
        return None
    if "RollingUpdatePolicy" in deployment_config:
        return "rolling"
    traffic = deployment_config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    found: Strategy = traffic["Type"].lower()
    return found


def _percent(value: int | None) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def _size(instances: int, percent: int) -> int:
    """Return the whole instances of a share: percents are rounded down, to at least one."""
    return max(1, instances * percent // 100)


def _parts(instances: int, percent: int) -> int:
    return math.ceil(instances / _size(instances, percent))
