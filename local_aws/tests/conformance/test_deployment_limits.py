"""Deployments that are refused, and calls that a deployment blocks."""

import pytest

from testbed.deployment_configs import blue_green
from testbed.serving import Serving, refused

pytestmark = [pytest.mark.sky(instances=4, minutes=60), pytest.mark.starts_processes]


def test_an_alarm_that_does_not_exist_refuses_the_update(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one"))
    text = refused(
        "ValidationException",
        serving.sagemaker.update_endpoint,
        EndpointName=name,
        EndpointConfigName=serving.config("two"),
        DeploymentConfig=blue_green(alarms=("no-such-alarm",)),
    )

    assert "no-such-alarm" in text
    assert serving.describe(name)["EndpointStatus"] == "InService"


def test_the_config_in_use_is_no_update(serving: Serving) -> None:
    config = serving.config("one")
    name = serving.endpoint(config)

    call = serving.sagemaker.update_endpoint
    assert "create a new one" in refused(
        "ValidationException", call, EndpointName=name, EndpointConfigName=config
    )


@pytest.mark.parametrize(("instances", "accepted"), [(1, False), (2, True)])
def test_a_fleet_of_one_has_no_canary(serving: Serving, instances: int, accepted: bool) -> None:
    name = serving.endpoint(serving.config("one"))
    new = serving.config("two", instances=instances)
    request = {"EndpointName": name, "EndpointConfigName": new, "DeploymentConfig": blue_green("CANARY")}
    if accepted:
        serving.sagemaker.update_endpoint(**request)
        assert serving.settled(name)["EndpointConfigName"] == new
    else:
        assert "50 %" in refused("ValidationException", serving.sagemaker.update_endpoint, **request)


def test_scaling_is_blocked_while_a_deployment_runs(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one"))
    alarm = serving.alarm()
    serving.update(
        name, serving.config("two"), DeploymentConfig=blue_green(termination=3600, alarms=(alarm,))
    )
    serving.stage(name, "Baking")
    text = refused(
        "ValidationException",
        serving.sagemaker.update_endpoint_weights_and_capacities,
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
    )
    serving.set_alarm(alarm, "ALARM")

    assert text.startswith("Cannot update in-progress endpoint")


def test_a_scalable_target_keeps_its_instance_type(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one"))
    serving.scalable_target(name)
    variant = serving.variant(serving.model("two"), InstanceType="ml.m5.xlarge")
    text = refused(
        "ValidationException",
        serving.sagemaker.update_endpoint,
        EndpointName=name,
        EndpointConfigName=serving.config_of(variant),
    )

    assert "scalable target" in text


def test_the_longest_wait_must_fit_into_the_execution_time(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one"))
    request = {"EndpointName": name, "EndpointConfigName": serving.config("two")}
    policy = blue_green(termination=700, maximum=600)
    refused("ValidationException", serving.sagemaker.update_endpoint, **request, DeploymentConfig=policy)

    assert serving.describe(name)["EndpointStatus"] == "InService"
