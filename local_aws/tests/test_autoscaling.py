"""Application Auto Scaling's API and target tracking, with fleets written by hand and a clock moved by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.protocols import VariantState
from testbed.scaling_simulation import IDENTITY, METRIC, MODEL, RESOURCE, TARGET, ScalingSimulation, policy


@pytest.fixture
def simulation() -> ScalingSimulation:
    return ScalingSimulation()


def test_a_target_needs_an_endpoint_that_exists(simulation: ScalingSimulation) -> None:
    with pytest.raises(AwsError, match="doesn't exist: endpoint/other/variant/AllTraffic") as caught:
        simulation.call(
            "RegisterScalableTarget",
            **IDENTITY | {"ResourceId": "endpoint/other/variant/AllTraffic"},
            MinCapacity=1,
            MaxCapacity=2,
        )

    assert caught.value.code == "ValidationException"


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"MinCapacity": 3, "MaxCapacity": 2}, "ValidationException", "less than minimum"),
        ({"MinCapacity": 0, "MaxCapacity": 2}, "ValidationException", "at least 1"),
        ({"MinCapacity": 1}, "ValidationException", "MaxCapacity"),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, "ResourceId": "endpoint/x"},
            "ValidationException",
            "endpoint/x",
        ),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, "ServiceNamespace": "ecs"},
            "NotImplementedByLocalAws",
            "ecs",
        ),
        (
            {
                "MinCapacity": 1,
                "MaxCapacity": 2,
                "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
            },
            "NotImplementedByLocalAws",
            "DesiredCopyCount",
        ),
    ],
)
def test_a_wrong_target_is_refused_and_not_kept(
    simulation: ScalingSimulation, request_: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        simulation.call("RegisterScalableTarget", **IDENTITY | request_)

    targets = simulation.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (caught.value.code, targets) == (code, [])


def test_burstable_instances_are_not_scalable(simulation: ScalingSimulation) -> None:
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.t2.medium", 2, 2)

    with pytest.raises(AwsError, match=r"ml\.t2\.medium does not support autoscaling"):
        simulation.register()


def test_registering_again_changes_only_what_is_said(simulation: ScalingSimulation) -> None:
    arn = simulation.register(
        1, 8, SuspendedState={"DynamicScalingInSuspended": True}, Tags={"team": "digits"}
    )

    again = simulation.call("RegisterScalableTarget", **IDENTITY, MaxCapacity=4)["ScalableTargetARN"]

    (target,) = simulation.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert again == arn
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    assert simulation.call("ListTagsForResource", ResourceARN=arn)["Tags"] == {"team": "digits"}


@pytest.mark.parametrize(
    ("minimum", "maximum", "wanted", "cause"),
    [(3, 8, 3, "minimum capacity was set to 3"), (1, 1, 1, "maximum capacity was set to 1")],
)
def test_registration_pulls_the_capacity_inside_the_limits(
    simulation: ScalingSimulation, minimum: int, maximum: int, wanted: int, cause: str
) -> None:
    simulation.register(minimum, maximum)
    (running,) = simulation.activities()
    simulation.fleets.settle()
    simulation.service.tick()
    (done,) = simulation.activities()

    assert simulation.fleets.asked == [wanted]
    assert (running["StatusCode"], running["Cause"]) == ("InProgress", cause)
    assert running["Description"] == f"Setting desired instance count to {wanted}."
    assert (done["StatusCode"], done["StatusMessage"]) == (
        "Successful",
        f"Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker.",
    )


def test_registration_leaves_an_updating_endpoint_alone(simulation: ScalingSimulation) -> None:
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("Updating", "ml.m5.large", 2, 2)

    simulation.register(3, 8)

    assert simulation.fleets.asked == []


def test_a_policy_makes_the_two_alarms_that_aws_names(simulation: ScalingSimulation) -> None:
    simulation.register()

    answer = simulation.track()

    names = [alarm["AlarmName"] for alarm in answer["Alarms"]]
    shapes = {
        kind: (rule.threshold, rule.watched.period, rule.watched.statistic)
        for kind, rule in (
            (
                name.split("-")[-6],
                simulation.alarms._own.alarms[name].rule,
            )  # ...-AlarmHigh-<uuid of five words>
            for name in names
        )
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
    rules = [alarm.rule for alarm in simulation.alarms._own.alarms.values()]
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
    assert simulation.alarms._own.alarms == {}


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


def test_three_minutes_above_the_target_scale_out_in_proportion(simulation: ScalingSimulation) -> None:
    """1.4 × the target on two instances asks for three: ceil(2 × 840 / 600)."""
    simulation.register()
    alarm = simulation.track()["Alarms"][0]["AlarmName"]
    simulation.minutes(2, 840)
    before = list(simulation.fleets.asked)

    simulation.minutes(1, 840, settle=False)
    (running,) = simulation.activities()
    simulation.fleets.settle()
    simulation.service.tick()
    (done,) = simulation.activities()

    assert (before, simulation.fleets.asked) == ([], [3])
    assert running["Cause"] == f"monitor alarm {alarm} in state ALARM triggered policy load"
    assert (running["StatusCode"], done["StatusCode"]) == ("InProgress", "Successful")
    assert "EndTime" not in running
    assert done["EndTime"] == simulation.clock.at


def test_fifteen_minutes_below_nine_tenths_scale_in(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track()
    simulation.minutes(14, 100)
    before = list(simulation.fleets.asked)

    simulation.minutes(1, 100)

    assert (before, simulation.fleets.asked) == ([], [1])


def test_load_between_nine_tenths_and_the_target_changes_nothing(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track()

    simulation.minutes(40, 570)

    assert (simulation.fleets.asked, simulation.activities(IncludeNotScaledActivities=True)) == ([], [])


def test_a_scale_in_that_would_breach_again_is_not_made(simulation: ScalingSimulation) -> None:
    """Half of the target on two instances would be all of it on one, and a little more breaches."""
    simulation.register()
    simulation.track()

    simulation.minutes(20, 310)

    (activity,) = simulation.activities(IncludeNotScaledActivities=True)
    assert simulation.fleets.asked == []
    assert activity["NotScaledReasons"] == [{"Code": "AutoScalingAnticipatedFlapping", "CurrentCapacity": 2}]
    assert simulation.activities() == []


@pytest.mark.parametrize(
    ("load", "limits", "reason"),
    [
        (840, (2, 2), {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 2}),
        (0, (2, 2), {"Code": "AlreadyAtMinCapacity", "MinCapacity": 2}),
    ],
)
def test_limits_are_never_passed_and_the_reason_is_recorded_once(
    simulation: ScalingSimulation, load: float, limits: tuple[int, int], reason: dict[str, Any]
) -> None:
    simulation.register(*limits)
    simulation.track()

    simulation.minutes(20, load)

    (activity,) = simulation.activities(IncludeNotScaledActivities=True)
    assert (simulation.fleets.asked, activity["StatusCode"]) == ([], "Failed")
    assert activity["NotScaledReasons"] == [reason]


def test_zeros_scale_in_to_the_minimum_and_silence_to_nothing(simulation: ScalingSimulation) -> None:
    """SageMaker publishes zeros without traffic; where nothing is published nothing is known."""
    simulation.register()
    simulation.track()
    for _ in range(30):
        simulation.clock.at += 1
        simulation.alarms.tick()
        simulation.service.tick()
    silent = list(simulation.fleets.asked)

    simulation.minutes(15, 0)

    assert (silent, simulation.fleets.asked) == ([], [1])


def test_a_cooldown_lets_a_larger_scale_out_through_and_nothing_else(simulation: ScalingSimulation) -> None:
    """The same load on more instances reads less per instance: no second step; a worse one is one."""
    simulation.register()
    simulation.track(ScaleOutCooldown=600)
    simulation.minutes(3, 840)
    simulation.minutes(4, 840)  # the metric has not fallen yet: 2 × 840 / 600 is still 3
    patient = list(simulation.fleets.asked)

    simulation.minutes(1, 1300)

    assert (patient, simulation.fleets.asked) == ([3], [3, 5])


def test_after_the_cooldown_the_metric_counts_for_the_instances_there_are(
    simulation: ScalingSimulation,
) -> None:
    simulation.register()
    simulation.track(ScaleOutCooldown=120)
    simulation.minutes(3, 840)

    simulation.minutes(3, 700)

    assert simulation.fleets.asked == [3, 4]


def test_a_scale_in_waits_for_the_cooldown_of_the_one_before(simulation: ScalingSimulation) -> None:
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 8, 8)
    simulation.register()
    simulation.track(ScaleInCooldown=300)
    simulation.minutes(15, 300)
    first = list(simulation.fleets.asked)
    simulation.minutes(4, 300)
    waiting = list(simulation.fleets.asked)

    simulation.minutes(2, 300)

    assert (first, waiting, simulation.fleets.asked) == ([4], [4], [4, 2])


def test_a_scale_out_does_not_wait_for_the_cooldown_of_a_scale_in(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track(ScaleInCooldown=3600)
    simulation.minutes(15, 0)

    simulation.minutes(3, 1500)

    assert simulation.fleets.asked == [1, 3]


def test_a_scale_in_does_not_wait_for_the_cooldown_of_a_scale_out(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track(ScaleOutCooldown=3600)
    simulation.minutes(3, 840)

    simulation.minutes(15, 0)

    assert simulation.fleets.asked == [3, 1]


def test_nothing_is_scaled_while_the_endpoint_is_updating(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track()
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("Updating", "ml.m5.large", 2, 2)
    simulation.minutes(6, 840, settle=False)
    updating = list(simulation.fleets.asked)
    simulation.fleets.settle()

    simulation.minutes(1, 840)

    assert (updating, simulation.fleets.asked) == ([], [3])


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


def test_a_scale_in_needs_every_policy_that_may_scale_in(simulation: ScalingSimulation) -> None:
    """The second policy follows a metric of the user's own, which stays at its target."""
    own = {"Namespace": "Digits", "MetricName": "Queue", "Statistic": "Average"}
    simulation.register()
    simulation.track()
    request = policy("queue", CustomizedMetricSpecification=own)
    del request["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
    simulation.call("PutScalingPolicy", **request)
    for _ in range(20):
        simulation.store.put("Digits", "Queue", {}, TARGET)
        simulation.minutes(1, 0)
    disagreeing = list(simulation.fleets.asked)

    for _ in range(20):
        simulation.store.put("Digits", "Queue", {}, 0.0)
        simulation.minutes(1, 0)

    assert (disagreeing, simulation.fleets.asked) == ([], [1])


def test_a_refusal_by_sagemaker_ends_the_activity_as_failed(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track()
    simulation.fleets.refuses = AwsError(
        "ResourceLimitExceeded", "The account-level service limit is 2 Instances."
    )

    simulation.minutes(3, 840)

    (activity,) = simulation.activities()
    assert activity["StatusCode"] == "Failed"
    assert "The account-level service limit is 2 Instances." in activity["StatusMessage"]


def test_a_change_that_sagemaker_takes_back_is_unfulfilled(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track()
    simulation.minutes(3, 840, settle=False)
    simulation.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 2, 2)

    simulation.service.tick()

    assert [activity["StatusCode"] for activity in simulation.activities()] == ["Unfulfilled"]


def test_deregistering_takes_policies_and_alarms_along(simulation: ScalingSimulation) -> None:
    simulation.register()
    names = [alarm["AlarmName"] for alarm in simulation.track()["Alarms"]]

    simulation.call("DeregisterScalableTarget", **IDENTITY)

    assert [simulation.alarms.state(name) for name in names] == [None, None]
    assert simulation.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert not simulation.service.is_registered("digits", "AllTraffic")


def test_a_deleted_endpoint_is_deregistered(simulation: ScalingSimulation) -> None:
    simulation.register()
    names = [alarm["AlarmName"] for alarm in simulation.track()["Alarms"]]
    there = simulation.service.is_registered("digits", "AllTraffic")
    del simulation.fleets.variants["digits", "AllTraffic"]

    simulation.service.tick()

    assert (there, simulation.service.is_registered("digits", "AllTraffic")) == (True, False)
    assert [simulation.alarms.state(name) for name in names] == [None, None]


def test_a_deleted_policy_no_longer_scales(simulation: ScalingSimulation) -> None:
    simulation.register()
    simulation.track()

    simulation.call("DeleteScalingPolicy", **IDENTITY, PolicyName="load")

    simulation.minutes(5, 900)
    assert simulation.fleets.asked == []


def test_high_resolution_scales_out_within_half_a_minute(simulation: ScalingSimulation) -> None:
    kind = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    simulation.register()
    simulation.track(TargetValue=4.0, PredefinedMetricSpecification={"PredefinedMetricType": kind})
    for _ in range(3):
        simulation.store.put("AWS/SageMaker", "ConcurrentRequestsPerModel", METRIC[2], 7.0)
        simulation.clock.at += 10 / 60
        simulation.alarms.tick()
        simulation.service.tick()

    assert simulation.fleets.asked == [4]


def test_long_lists_come_in_pages(simulation: ScalingSimulation) -> None:
    for number in range(3):
        simulation.fleets.variants[f"e{number}", "A"] = VariantState("InService", "ml.m5.large", 1, 1)
        identity = IDENTITY | {"ResourceId": f"endpoint/e{number}/variant/A"}
        simulation.call("RegisterScalableTarget", **identity, MinCapacity=1, MaxCapacity=2)
    describe: Callable[..., dict[str, Any]] = lambda **more: simulation.call(  # noqa: E731
        "DescribeScalableTargets", ServiceNamespace="sagemaker", MaxResults=2, **more
    )

    first = describe()
    second = describe(NextToken=first["NextToken"])

    found = [target["ResourceId"] for page in (first, second) for target in page["ScalableTargets"]]
    assert found == [f"endpoint/e{number}/variant/A" for number in range(3)]
    assert "NextToken" not in second
    with pytest.raises(AwsError, match="not valid"):
        describe(NextToken="x")


def test_timestamps_are_wall_clock(simulation: ScalingSimulation) -> None:
    simulation.register()

    (target,) = simulation.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]

    assert datetime.fromtimestamp(target["CreationTime"], UTC).year == 2027
