"""MetricsConfig: how often utilisation is published, and for every instance by its id."""

import datetime
from pathlib import Path

import pytest

import local_aws
from local_aws.testing import wait_until
from testbed.serving import SETTINGS, Serving

pytestmark = pytest.mark.starts_processes


def test_enhanced_metrics_are_published_for_each_instance_every_ten_seconds(tmp_path: Path) -> None:
    """A minute of AWS's is 1 s here."""
    often = {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10}
    folders = {"state_dir": tmp_path, "cache_dir": tmp_path}
    with local_aws.start(**{**SETTINGS, "time_scale": 60, **folders}) as aws:
        serving = Serving(aws)
        variant = serving.variant(serving.model("one"))
        plain, fine = (
            serving.endpoint(serving.config_of(variant, **more)) for more in ({}, {"MetricsConfig": often})
        )
        (instance,) = next(e for e in aws.status()["endpoints"] if e["name"] == fine)["fleets"][0][
            "instances"
        ]
        before, fine_before = _samples(serving, plain), _samples(serving, fine)
        wait_until(lambda: _samples(serving, plain) >= before + 3, "three minutes of AWS's are over")

        assert _samples(serving, fine) - fine_before > 6
        assert _samples(serving, fine, InstanceId=instance["id"]) > 6
        assert serving.describe(fine)["MetricsConfig"] == often


def _samples(serving: Serving, endpoint: str, **more: str) -> float:
    """Count the datapoints of the CPU utilisation."""
    now = datetime.datetime.now(datetime.UTC)
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic", **more}
    points = serving.aws.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/Endpoints",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - datetime.timedelta(seconds=60),
        EndTime=now + datetime.timedelta(seconds=60),
        Period=86400,
        Statistics=["SampleCount"],
    )["Datapoints"]
    return float(sum(point["SampleCount"] for point in points))
