"""DeploymentConfigs for tests, as UpdateEndpoint takes them."""

from typing import Any


def blue_green(
    kind: str = "ALL_AT_ONCE",
    *,
    wait: int = 0,
    termination: int = 0,
    size: tuple[str, int] = ("CAPACITY_PERCENT", 50),
    alarms: tuple[str, ...] = (),
    maximum: int = 28800,
) -> dict[str, Any]:
    """Write a DeploymentConfig; times in AWS seconds."""
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    if kind != "ALL_AT_ONCE":
        routing["CanarySize" if kind == "CANARY" else "LinearStepSize"] = capacity(*size)
    policy = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": termination,
        "MaximumExecutionTimeoutInSeconds": maximum,
    }
    return _watching({"BlueGreenUpdatePolicy": policy}, alarms)


def rolling(
    *,
    batch: tuple[str, int] = ("INSTANCE_COUNT", 1),
    wait: int = 0,
    rollback: tuple[str, int] | None = None,
    alarms: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Write a DeploymentConfig for a rolling deployment; times in AWS seconds."""
    policy: dict[str, Any] = {"MaximumBatchSize": capacity(*batch), "WaitIntervalInSeconds": wait}
    if rollback is not None:
        policy["RollbackMaximumBatchSize"] = capacity(*rollback)
    return _watching({"RollingUpdatePolicy": policy}, alarms)


def capacity(kind: str, value: int) -> dict[str, Any]:
    """Write a CapacitySize."""
    return {"Type": kind, "Value": value}


def _watching(config: dict[str, Any], alarms: tuple[str, ...]) -> dict[str, Any]:
    watched = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}
    return config | watched if alarms else config
