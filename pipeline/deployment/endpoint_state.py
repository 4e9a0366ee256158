"""The state of an endpoint during a deployment, by its description. Pure."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from pipeline.deployment.plan import MOVING


class State(Enum):
    """The state of an endpoint with respect to the config that is wanted on it."""

    MOVING = auto()
    IN_SERVICE = auto()
    ELSEWHERE = auto()  # InService on another config: not begun yet, or rolled back
    FAILED = auto()
    GONE = auto()


def state_of(described: Mapping[str, Any] | None, wanted: str) -> State:
    """Return the state of a described endpoint with respect to the wanted config."""
    if described is None:
        return State.GONE
    status = described["EndpointStatus"]
    if status in MOVING:
        return State.MOVING
    if status != "InService":
        return State.FAILED
    return State.IN_SERVICE if described["EndpointConfigName"] == wanted else State.ELSEWHERE


def is_on_its_way(described: Mapping[str, Any] | None, wanted: str) -> bool:
    """Say whether the endpoint is moving to the wanted config, or is there already."""
    if described is None:
        return False
    coming = (described.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
    is_first = described["EndpointStatus"] in {"Creating", "InService"}
    return wanted == coming or (is_first and described["EndpointConfigName"] == wanted)


def instance_count(described: Mapping[str, Any]) -> int:
    """Return the number of instances that the endpoint has, by its description."""
    return sum(int(each.get("CurrentInstanceCount", 0)) for each in described.get("ProductionVariants", []))
