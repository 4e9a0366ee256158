"""The number of instances behind the endpoint, read once a second while the load runs."""

import logging
import time
from collections.abc import Callable
from typing import Any

import gevent
from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger(__name__)


def sample(describe: Callable[[], dict[str, Any]], now: float) -> dict[str, Any]:
    """Return one row of the fleet's history; its status is "unreadable" when `describe` failed.

    `pending` is the fleet with which a running deployment replaces the live one, or None.
    """
    try:
        endpoint = describe()
    except (BotoCoreError, ClientError) as error:
        log.warning("DescribeEndpoint failed, the row has no instance counts: %s", error)
        unknown = {"config": None, "current": None, "desired": None, "pending": None}
        return {"at": now, "status": "unreadable", **unknown}
    pending = endpoint.get("PendingDeploymentSummary")
    return {
        "at": now,
        "status": endpoint["EndpointStatus"],
        **_instance_counts(endpoint),
        "pending": None if pending is None else _instance_counts(pending),
    }


def _instance_counts(fleet: dict[str, Any]) -> dict[str, Any]:
    variants = fleet.get("ProductionVariants", [])
    return {
        "config": fleet["EndpointConfigName"],
        "current": sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
        "desired": sum(variant.get("DesiredInstanceCount", 0) for variant in variants),
    }


def poll(describe: Callable[[], dict[str, Any]], history: list[dict[str, Any]], seconds: float = 1.0) -> None:
    """Append one sample every `seconds` without end: run this in a greenlet and kill the greenlet."""
    while True:
        history.append(sample(describe, time.time()))
        gevent.sleep(seconds)
