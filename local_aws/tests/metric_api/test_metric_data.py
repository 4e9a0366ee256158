"""Metric data of any client and region, stored or refused."""

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.cloudwatch import Alarms, MetricStore
from testbed.metrics import HandClock, alarm, when


def test_a_batch_that_botocore_compresses_arrives(cloudwatch: Any, store: MetricStore) -> None:
    cloudwatch.put_metric_data(Namespace="Digits", MetricData=[{"MetricName": "Latency", "Value": 1.0}] * 500)

    assert sum(1 for _ in store.all_series()) == 1


def test_two_dimensions_of_one_name_are_refused_and_not_merged(cloudwatch: Any, store: MetricStore) -> None:
    twice = [{"Name": "Variant", "Value": value} for value in "AB"]

    with pytest.raises(ClientError, match=r"Two dimensions of one name, in MetricData\.member\.1"):
        cloudwatch.put_metric_data(
            Namespace="Digits", MetricData=[{"MetricName": "Latency", "Value": 1.0, "Dimensions": twice}]
        )

    assert list(store.all_series()) == []


def test_a_timestamp_out_of_range_is_refused_and_nothing_is_stored(
    cloudwatch: Any, store: MetricStore, clock: HandClock
) -> None:
    good = {"MetricName": "Latency", "Value": 1.0}

    with pytest.raises(ClientError, match=r"MetricData\.member\.2\.Timestamp"):
        cloudwatch.put_metric_data(
            Namespace="Digits", MetricData=[good, good | {"Timestamp": when(clock.at + 10_000)}]
        )

    assert list(store.all_series()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"Values": [1.0], "Counts": [0]},
        {"StatisticValues": {"SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0}},
        {"Values": [1.0, 2.0], "Counts": [1]},
    ],
)
def test_data_without_values_are_refused(cloudwatch: Any, store: MetricStore, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=r"MetricData\.member\.1"):
        cloudwatch.put_metric_data(Namespace="Digits", MetricData=[{"MetricName": "Latency"} | wrong])

    assert list(store.all_series()) == []


def test_ten_thousand_series_are_listed_in_pages_that_look_once_at_each(
    cloudwatch: Any, store: MetricStore
) -> None:
    """The whole list, 500 a page, and one series by its dimensions; benchmarks/list_metrics.py measures the time."""
    for number in range(10_000):
        store.put("Digits", "Latency", {"Endpoint": str(number)}, 1.0)

    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Digits"))

    names = {m["Dimensions"][0]["Value"] for page in pages for m in page["Metrics"]}
    (one,) = cloudwatch.list_metrics(Dimensions=[{"Name": "Endpoint", "Value": "77"}])["Metrics"]
    assert (len(names), len(pages)) == (10_000, 20)
    assert one["Dimensions"] == [{"Name": "Endpoint", "Value": "77"}]


def test_regions_do_not_share_metrics_or_alarms(connect: Callable[..., Any], store: MetricStore) -> None:
    store.put("Digits", "Latency", {}, 1.0)
    connect().put_metric_alarm(**alarm())

    assert connect("us-east-1").list_metrics()["Metrics"] == []
    assert connect("us-east-1").describe_alarms()["MetricAlarms"] == []
    assert len(connect().list_metrics()["Metrics"]) == 1


def test_clients_that_still_speak_the_query_protocol_are_understood(
    url: str, store: MetricStore, alarms: Alarms, clock: HandClock
) -> None:
    """Form in, XML out, as older SDKs do."""
    dimension = {"Dimensions.member.1.Name": "Variant", "Dimensions.member.1.Value": "A"}
    datum = {"MetricName": "Latency", "Value": "7.5", **dimension}

    def post(action: str, **fields: str) -> str:
        form = {"Action": action, "Version": "2010-08-01", "Namespace": "Digits", **fields}
        scope = "Credential=test/20260101/eu-west-1/monitoring/aws4_request"
        request = urllib.request.Request(
            url,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    post("PutMetricData", **{f"MetricData.member.1.{name}": value for name, value in datum.items()})
    span = {"StartTime": when(clock.at).isoformat(), "EndTime": when(clock.at + 1).isoformat()}
    answer = post(
        "GetMetricStatistics",
        MetricName="Latency",
        Period="60",
        **{"Statistics.member.1": "Maximum"},
        **span,
        **dimension,
    )

    assert "<Maximum>7.5</Maximum>" in answer


@pytest.mark.starts_processes
def test_the_aws_cli_reads_the_same_store(
    environ: dict[str, str], store: MetricStore, clock: HandClock
) -> None:
    store.put("Digits", "Latency", {"Variant": "A"}, 5.0)
    arguments = ["get-metric-statistics", "--namespace", "Digits", "--metric-name", "Latency"]
    arguments += ["--dimensions", "Name=Variant,Value=A", "--period", "60", "--statistics", "Sum"]
    arguments += ["--start-time", str(int(clock.at)), "--end-time", str(int(clock.at) + 1)]

    done = subprocess.run(
        [str(Path(sys.executable).with_name("aws")), "cloudwatch", *arguments, "--output", "json"],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Datapoints"][0]["Sum"] == 5.0
