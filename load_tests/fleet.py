"""How many instances the endpoint has, asked once a second while the load runs."""

import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from botocore.exceptions import BotoCoreError, ClientError


def sample(describe: Callable[[], dict[str, Any]], now: float) -> dict[str, Any]:
    """Return one row of the fleet's history; a description that failed is a row that says so."""
    try:
        endpoint = describe()
    except (BotoCoreError, ClientError) as error:
        print(f"the fleet could not be read: {error}", file=sys.stderr, flush=True)
        return {"at": now, "status": "unreadable", "config": None, "current": None, "desired": None}
    variants = endpoint.get("ProductionVariants", [])
    return {
        "at": now,
        "status": endpoint["EndpointStatus"],
        "config": endpoint["EndpointConfigName"],
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
