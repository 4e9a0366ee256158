"""Time of ListMetrics with 10,000 series: one page of 500, one series by its dimensions, and all 20 pages.

`python -m benchmarks.list_metrics` starts moto's server with this store behind it and calls it through boto3; the last
line leaves out HTTP, its encoding and boto3's parsing. Figures are medians, measured here.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import boto3

from local_aws.clock import Clock
from local_aws.cloudwatch import MetricStore, install
from local_aws.moto_host import MotoHost

SERIES = 10_000
REPEATS = 7
LIMIT_MS = 200.0


def main() -> int:
    """Print the figures; the exit code says whether a call is within the limit."""
    clock = Clock(30.0)
    store = MetricStore(clock)
    install(lambda _: store)
    for number in range(SERIES):
        store.put("Digits", "Latency", {"Endpoint": str(number), "Variant": "A"}, 1.0)
    server = MotoHost()
    server.start({})
    try:
        worst = _measure(server.url, store)
    finally:
        server.stop()
    print(f"limit {LIMIT_MS:g} ms a call: {'held' if worst < LIMIT_MS else 'NOT held'}")
    return int(worst >= LIMIT_MS)


def _measure(url: str, store: MetricStore) -> float:
    client = boto3.client(
        "cloudwatch",
        region_name="eu-west-1",
        endpoint_url=url,
        aws_access_key_id="here",
        aws_secret_access_key="here",  # noqa: S106 - nobody checks it
    )
    one = {"Dimensions": [{"Name": "Endpoint", "Value": str(SERIES - 1)}]}
    calls: dict[str, Callable[[], Any]] = {
        "first page of 500": lambda: client.list_metrics(Namespace="Digits"),
        "last page of 500": lambda: client.list_metrics(Namespace="Digits", NextToken=str(SERIES - 500)),
        "one series by a dimension": lambda: client.list_metrics(**one),
    }
    everything: dict[str, Callable[[], Any]] = {
        "all 20 pages through boto3": lambda: list(client.get_paginator("list_metrics").paginate()),
        "the store's own part of all 20 pages": lambda: _walk(store),
    }
    for name, call in (calls | everything).items():
        print(f"{name:40} {_median_ms(call):8.1f} ms")
    return max(_median_ms(call) for call in calls.values())


def _walk(store: MetricStore) -> None:
    start: int | None = 0
    while start is not None:
        _, start = store.page(start, 500, lambda series: series.key.namespace == "Digits")


def _median_ms(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    raise SystemExit(main())
