"""UpdateEndpoint: what moves, what is shown meanwhile, what brings it back. Bakes of 300 AWS seconds take 1 s."""

from typing import Any

import pytest

from local_aws.testing import wait_until
from testbed.deployment_configs import rolling
from testbed.serving import Serving

pytestmark = pytest.mark.starts_processes


def test_a_rolling_deployment_replaces_a_batch_at_a_time_and_loses_no_request(serving: Serving) -> None:
    new = serving.config("new", instances=4)
    name = serving.endpoint(serving.config("old", instances=4))
    sizes = set()
    with serving.traffic(name) as traffic:
        wait_until(lambda: len(traffic.answers) > 20, "traffic flows")
        serving.update(name, new, DeploymentConfig=rolling(batch=("CAPACITY_PERCENT", 50), wait=60))
        while serving.describe(name)["EndpointStatus"] == "Updating":
            sizes.add(sum(len(fleet["instances"]) for fleet in _fleets(serving, name)))
        last = len(traffic.answers) + 8
        wait_until(lambda: len(traffic.answers) > last + 20, "traffic after the deployment")

    assert traffic.failures == []
    assert max(sizes) <= 6, "at most one batch beyond the fleet"
    assert set(traffic.releases()[last:]) == {"new"}
    description = serving.describe(name)
    assert (description["EndpointConfigName"], description["EndpointStatus"]) == (new, "InService")
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 4


def test_a_rolling_deployment_brings_the_old_fleet_back_after_an_alarm(serving: Serving) -> None:
    old, alarm = serving.config("old", instances=3), serving.alarm()
    name = serving.endpoint(old)
    policy = rolling(wait=600, rollback=("INSTANCE_COUNT", 1), alarms=(alarm,))
    with serving.traffic(name, clients=2) as traffic:
        serving.update(name, serving.config("new", instances=3), DeploymentConfig=policy)
        wait_until(lambda: _instances(serving, name, old) == 2, "an old instance is gone")
        serving.set_alarm(alarm, "ALARM")
        description = serving.settled(name)
        last = len(traffic.answers) + 8
        wait_until(lambda: len(traffic.answers) > last + 20, "traffic after the rollback")

    assert traffic.failures == []
    assert (description["EndpointConfigName"], description["EndpointStatus"]) == (old, "InService")
    assert alarm in description["FailureReason"]
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    assert set(traffic.releases()[last:]) == {"old"}


def _fleets(serving: Serving, endpoint: str) -> list[dict[str, Any]]:
    found = next(e for e in serving.aws.status()["endpoints"] if e["name"] == endpoint)
    fleets: list[dict[str, Any]] = found["fleets"]
    return fleets


def _instances(serving: Serving, endpoint: str, config: str) -> int:
    instances = [f["instances"] for f in _fleets(serving, endpoint) if f["config"] == config]
    return sum(map(len, instances))
