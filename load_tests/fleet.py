"""How many instances the endpoint has, asked once a second while the load runs."""

import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from botocore.exceptions import BotoCoreError, ClientError


def sample(describe: Callable[[], dict[str, Any]], now: float) -> dict[str, Any]:
    """Return one row of the fleet's history; a description that failed is a row that says so.

    `pending` is the fleet that a deployment under way is putting in the place of the live one, or None.
    """
    try:
        endpoint = describe()
    except (BotoCoreError, ClientError) as error:
        print(f"the fleet could not be read: {error}", file=sys.stderr, flush=True)
        unknown = {"config": None, "current": None, "desired": None, "pending": None}
        return {"at": now, "status": "unreadable", **unknown}
    pending = endpoint.get("PendingDeploymentSummary")
    return {
        "at": now,
        "status": endpoint["EndpointStatus"],
        **_counts(endpoint),
        "pending": None if pending is None else _counts(pending),
    }


def _counts(side: dict[str, Any]) -> dict[str, Any]:
    variants = side.get("ProductionVariants", [])
    return {
        "config": side["EndpointConfigName"],
        "current": sum(variant.get("CurrentInstanceCount", 0) for variant in variants),
        "desired": sum(variant.get("DesiredInstanceCount", 0) for variant in variants),
    }


def watch(
    describe: Callable[[], dict[str, Any]], history: list[dict[str, Any]], seconds: float = 1.0
) -> None:
    """Append one sample every `seconds`, for ever: run it in a greenlet and kill that."""
    while True:
        history.append(sample(describe, time.time()))
        gevent.sleep(seconds)
