"""Target-tracking policies: their alarms, refusals, deletion."""

from typing import Any

import pytest

from local_aws.errors import AwsError
from testbed.scaling_simulation import IDENTITY, MODEL, RESOURCE, ScalingSimulation, policy


@pytest.fixture
def simulation() -> ScalingSimulation:
    return ScalingSimulation()


def test_a_policy_makes_the_two_alarms_that_aws_names(simulation: ScalingSimulation) -> None:
    simulation.register()

    answer = simulation.track()

    names = [alarm["AlarmName"] for alarm in answer["Alarms"]]
    rules = simulation.alarm_rules()
    shapes = {
        name.split("-")[-6]: (
            rules[name].threshold,
            rules[name].watched.period,
            rules[name].watched.statistic,
        )
        for name in names  # ...-AlarmHigh-<uuid of five words>
    }
    high, low = shapes["AlarmHigh"], shapes["AlarmLow"]
    assert all(name.startswith(f"TargetTracking-{RESOURCE}-Alarm") for name in names)
    assert (high[0].value, high[0].evaluation_periods, high[0].datapoints_to_alarm) == (600, 3, 3)
    assert (low[0].value, low[0].evaluation_periods, low[0].datapoints_to_alarm) == (540, 15, 15)
    assert high[1:] == low[1:] == (60, "Sum")
    assert [simulation.alarms.state(name) for name in names] == ["INSUFFICIENT_DATA"] * 2


def test_putting_a_policy_again_keeps_its_arn_and_alarms(simulation: ScalingSimulation) -> None:
    simulation.register()
    first = simulation.track()

    again = simulation.track(TargetValue=1000.0)

    (described,) = simulation.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"]
    rules = simulation.alarm_rules().values()
    assert again == first
    assert described["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 1000.0
    assert sorted(rule.threshold.value for rule in rules) == [900.0, 1000.0]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"PolicyType": "StepScaling"}, "ValidationException", "StepScalingPolicyConfiguration is required"),
        ({"PolicyType": "PredictiveScaling"}, "NotImplementedByLocalAws", "PredictiveScaling"),
        ({"TargetTrackingScalingPolicyConfiguration": None}, "ValidationException", "required"),
        ({"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1.0}}, "ValidationException", "either"),
    ],
)
def test_a_policy_that_cannot_act_is_refused(
    simulation: ScalingSimulation, change: dict[str, Any], code: str, words: str
) -> None:
    simulation.register()
    request = {name: value for name, value in (policy() | change).items() if value is not None}

    with pytest.raises(AwsError, match=words) as caught:
        simulation.call("PutScalingPolicy", **request)

    assert caught.value.code == code
    assert simulation.alarm_rules() == {}


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"TargetValue": 0.0}, "TargetValue"),
        ({"ScaleInCooldown": -1}, "ScaleInCooldown"),
        (
            {
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "ECSServiceAverageCPUUtilization",
                }
            },
            "does not measure an instance variant",
        ),
        (
            {
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance",
                    "ResourceLabel": "app/x",
                }
            },
            "ResourceLabel",
        ),
    ],
)
def test_a_wrong_configuration_is_refused(
    simulation: ScalingSimulation, configuration: dict[str, Any], words: str
) -> None:
    simulation.register()

    with pytest.raises(AwsError, match=words):
        simulation.track(**configuration)


@pytest.mark.parametrize(
    ("action", "more", "words"),
    [
        ("PutScalingPolicy", policy(), "No scalable target registered for service namespace: sagemaker"),
        ("DeregisterScalableTarget", IDENTITY, "No scalable target registered"),
        ("DeleteScalingPolicy", IDENTITY | {"PolicyName": "load"}, "policy name: load"),
    ],
)
def test_what_is_not_there_is_not_found(
    simulation: ScalingSimulation, action: str, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        simulation.call(action, **more)

    assert caught.value.code == "ObjectNotFoundException"


def test_every_action_of_the_api_is_answered(simulation: ScalingSimulation) -> None:
    assert simulation.service.actions == set(MODEL.operation_names)


def test_deregistering_takes_policies_and_alarms_along(simulation: ScalingSimulation) -> None:
    simulation.register()
    names = [alarm["AlarmName"] for alarm in simulation.track()["Alarms"]]

    simulation.call("DeregisterScalableTarget", **IDENTITY)

    assert [simulation.alarms.state(name) for name in names] == [None, None]
    assert simulation.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert not simulation.service.is_registered("digits", "AllTraffic")


def test_a_deleted_policy_no_longer_scales(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track()

    simulation.call("DeleteScalingPolicy", **IDENTITY, PolicyName="load")

    simulation.minutes(5, 900)
    assert simulation.fleets.asked == []


def test_scale_in_can_be_switched_off(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track(DisableScaleIn=True)

    simulation.minutes(20, 0)

    assert simulation.fleets.asked == []


@pytest.mark.parametrize(
    ("suspended", "load"), [("DynamicScalingOutSuspended", 840), ("DynamicScalingInSuspended", 0)]
)
def test_a_suspended_target_rests(simulation: ScalingSimulation, suspended: str, load: float) -> None:
    simulation.register(SuspendedState={suspended: True})
    simulation.track()
    simulation.minutes(20, load)
    resting = list(simulation.fleets.asked)
    simulation.register(SuspendedState={suspended: False})

    simulation.minutes(1, load)

    assert (resting, len(simulation.fleets.asked)) == ([], 1)
