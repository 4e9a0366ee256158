"""Application Auto Scaling's API and target tracking, with fleets written by hand and a clock moved by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.seams import VariantState
from testbed.scaling_world import IDENTITY, METRIC, MODEL, RESOURCE, TARGET, World, policy


@pytest.fixture
def world() -> World:
    return World()


def test_a_target_needs_an_endpoint_that_exists(world: World) -> None:
    with pytest.raises(AwsError, match="doesn't exist: endpoint/other/variant/AllTraffic") as caught:
        world.call(
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
    world: World, request_: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        world.call("RegisterScalableTarget", **IDENTITY | request_)

    targets = world.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (caught.value.code, targets) == (code, [])


def test_burstable_instances_are_not_scalable(world: World) -> None:
    world.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.t2.medium", 2, 2)

    with pytest.raises(AwsError, match=r"ml\.t2\.medium does not support autoscaling"):
        world.register()


def test_registering_again_changes_only_what_is_said(world: World) -> None:
    arn = world.register(1, 8, SuspendedState={"DynamicScalingInSuspended": True}, Tags={"team": "digits"})

    again = world.call("RegisterScalableTarget", **IDENTITY, MaxCapacity=4)["ScalableTargetARN"]

    (target,) = world.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert again == arn
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    assert world.call("ListTagsForResource", ResourceARN=arn)["Tags"] == {"team": "digits"}


@pytest.mark.parametrize(
    ("minimum", "maximum", "wanted", "cause"),
    [(3, 8, 3, "minimum capacity was set to 3"), (1, 1, 1, "maximum capacity was set to 1")],
)
def test_registration_pulls_the_capacity_inside_the_limits(
    world: World, minimum: int, maximum: int, wanted: int, cause: str
) -> None:
    world.register(minimum, maximum)
    (running,) = world.activities()
    world.fleets.settle()
    world.service.tick()
    (done,) = world.activities()

    assert world.fleets.asked == [wanted]
    assert (running["StatusCode"], running["Cause"]) == ("InProgress", cause)
    assert running["Description"] == f"Setting desired instance count to {wanted}."
    assert (done["StatusCode"], done["StatusMessage"]) == (
        "Successful",
        f"Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker.",
    )


def test_registration_leaves_an_updating_endpoint_alone(world: World) -> None:
    world.fleets.variants["digits", "AllTraffic"] = VariantState("Updating", "ml.m5.large", 2, 2)

    world.register(3, 8)

    assert world.fleets.asked == []


def test_a_policy_makes_the_two_alarms_that_aws_names(world: World) -> None:
    world.register()

    answer = world.track()

    names = [alarm["AlarmName"] for alarm in answer["Alarms"]]
    shapes = {
        kind: (rule.threshold, rule.watched.period, rule.watched.statistic)
        for kind, rule in (
            (name.split("-")[-6], world.alarms._own.alarms[name].rule)  # ...-AlarmHigh-<uuid of five words>
            for name in names
        )
    }
    high, low = shapes["AlarmHigh"], shapes["AlarmLow"]
    assert all(name.startswith(f"TargetTracking-{RESOURCE}-Alarm") for name in names)
    assert (high[0].value, high[0].evaluation_periods, high[0].datapoints_to_alarm) == (600, 3, 3)
    assert (low[0].value, low[0].evaluation_periods, low[0].datapoints_to_alarm) == (540, 15, 15)
    assert high[1:] == low[1:] == (60, "Sum")
    assert [world.alarms.state(name) for name in names] == ["INSUFFICIENT_DATA"] * 2


def test_putting_a_policy_again_keeps_its_arn_and_alarms(world: World) -> None:
    world.register()
    first = world.track()

    again = world.track(TargetValue=1000.0)

    (described,) = world.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"]
    rules = [alarm.rule for alarm in world.alarms._own.alarms.values()]
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
    world: World, change: dict[str, Any], code: str, words: str
) -> None:
    world.register()
    request = {name: value for name, value in (policy() | change).items() if value is not None}

    with pytest.raises(AwsError, match=words) as caught:
        world.call("PutScalingPolicy", **request)

    assert caught.value.code == code
    assert world.alarms._own.alarms == {}


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
def test_a_wrong_configuration_is_refused(world: World, configuration: dict[str, Any], words: str) -> None:
    world.register()

    with pytest.raises(AwsError, match=words):
        world.track(**configuration)


@pytest.mark.parametrize(
    ("action", "more", "words"),
    [
        ("PutScalingPolicy", policy(), "No scalable target registered for service namespace: sagemaker"),
        ("DeregisterScalableTarget", IDENTITY, "No scalable target registered"),
        ("DeleteScalingPolicy", IDENTITY | {"PolicyName": "load"}, "policy name: load"),
    ],
)
def test_what_is_not_there_is_not_found(world: World, action: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        world.call(action, **more)

    assert caught.value.code == "ObjectNotFoundException"


def test_every_action_of_the_api_is_answered(world: World) -> None:
    assert world.service.actions == set(MODEL.operation_names)


def test_three_minutes_above_the_target_scale_out_in_proportion(world: World) -> None:
    """1.4 × the target on two instances asks for three: ceil(2 × 840 / 600)."""
    world.register()
    alarm = world.track()["Alarms"][0]["AlarmName"]
    world.minutes(2, 840)
    before = list(world.fleets.asked)

    world.minutes(1, 840, settle=False)
    (running,) = world.activities()
    world.fleets.settle()
    world.service.tick()
    (done,) = world.activities()

    assert (before, world.fleets.asked) == ([], [3])
    assert running["Cause"] == f"monitor alarm {alarm} in state ALARM triggered policy load"
    assert (running["StatusCode"], done["StatusCode"]) == ("InProgress", "Successful")
    assert "EndTime" not in running
    assert done["EndTime"] == world.clock.at


def test_fifteen_minutes_below_nine_tenths_scale_in(world: World) -> None:
    world.register()
    world.track()
    world.minutes(14, 100)
    before = list(world.fleets.asked)

    world.minutes(1, 100)

    assert (before, world.fleets.asked) == ([], [1])


def test_load_between_nine_tenths_and_the_target_changes_nothing(world: World) -> None:
    world.register()
    world.track()

    world.minutes(40, 570)

    assert (world.fleets.asked, world.activities(IncludeNotScaledActivities=True)) == ([], [])


def test_a_scale_in_that_would_breach_again_is_not_made(world: World) -> None:
    """Half of the target on two instances would be all of it on one, and a little more breaches."""
    world.register()
    world.track()

    world.minutes(20, 310)

    (activity,) = world.activities(IncludeNotScaledActivities=True)
    assert world.fleets.asked == []
    assert activity["NotScaledReasons"] == [{"Code": "AutoScalingAnticipatedFlapping", "CurrentCapacity": 2}]
    assert world.activities() == []


@pytest.mark.parametrize(
    ("load", "limits", "reason"),
    [
        (840, (2, 2), {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 2}),
        (0, (2, 2), {"Code": "AlreadyAtMinCapacity", "MinCapacity": 2}),
    ],
)
def test_limits_are_never_passed_and_the_reason_is_recorded_once(
    world: World, load: float, limits: tuple[int, int], reason: dict[str, Any]
) -> None:
    world.register(*limits)
    world.track()

    world.minutes(20, load)

    (activity,) = world.activities(IncludeNotScaledActivities=True)
    assert (world.fleets.asked, activity["StatusCode"]) == ([], "Failed")
    assert activity["NotScaledReasons"] == [reason]


def test_zeros_scale_in_to_the_minimum_and_silence_to_nothing(world: World) -> None:
    """SageMaker publishes zeros without traffic; where nothing is published nothing is known."""
    world.register()
    world.track()
    for _ in range(30):
        world.clock.at += 1
        world.alarms.tick()
        world.service.tick()
    silent = list(world.fleets.asked)

    world.minutes(15, 0)

    assert (silent, world.fleets.asked) == ([], [1])


def test_a_cooldown_lets_a_larger_scale_out_through_and_nothing_else(world: World) -> None:
    """The same load on more instances reads less per instance: no second step; a worse one is one."""
    world.register()
    world.track(ScaleOutCooldown=600)
    world.minutes(3, 840)
    world.minutes(4, 840)  # the metric has not fallen yet: 2 × 840 / 600 is still 3
    patient = list(world.fleets.asked)

    world.minutes(1, 1300)

    assert (patient, world.fleets.asked) == ([3], [3, 5])


def test_after_the_cooldown_the_metric_counts_for_the_instances_there_are(world: World) -> None:
    world.register()
    world.track(ScaleOutCooldown=120)
    world.minutes(3, 840)

    world.minutes(3, 700)

    assert world.fleets.asked == [3, 4]


def test_a_scale_in_waits_for_the_cooldown_of_the_one_before(world: World) -> None:
    world.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 8, 8)
    world.register()
    world.track(ScaleInCooldown=300)
    world.minutes(15, 300)
    first = list(world.fleets.asked)
    world.minutes(4, 300)
    waiting = list(world.fleets.asked)

    world.minutes(2, 300)

    assert (first, waiting, world.fleets.asked) == ([4], [4], [4, 2])


def test_a_scale_out_does_not_wait_for_the_cooldown_of_a_scale_in(world: World) -> None:
    world.register()
    world.track(ScaleInCooldown=3600)
    world.minutes(15, 0)

    world.minutes(3, 1500)

    assert world.fleets.asked == [1, 3]


def test_a_scale_in_does_not_wait_for_the_cooldown_of_a_scale_out(world: World) -> None:
    world.register()
    world.track(ScaleOutCooldown=3600)
    world.minutes(3, 840)

    world.minutes(15, 0)

    assert world.fleets.asked == [3, 1]


def test_nothing_is_scaled_while_the_endpoint_is_updating(world: World) -> None:
    world.register()
    world.track()
    world.fleets.variants["digits", "AllTraffic"] = VariantState("Updating", "ml.m5.large", 2, 2)
    world.minutes(6, 840, settle=False)
    updating = list(world.fleets.asked)
    world.fleets.settle()

    world.minutes(1, 840)

    assert (updating, world.fleets.asked) == ([], [3])


def test_scale_in_can_be_switched_off(world: World) -> None:
    world.register()
    world.track(DisableScaleIn=True)

    world.minutes(20, 0)

    assert world.fleets.asked == []


@pytest.mark.parametrize(
    ("suspended", "load"), [("DynamicScalingOutSuspended", 840), ("DynamicScalingInSuspended", 0)]
)
def test_a_suspended_target_rests(world: World, suspended: str, load: float) -> None:
    world.register(SuspendedState={suspended: True})
    world.track()
    world.minutes(20, load)
    resting = list(world.fleets.asked)
    world.register(SuspendedState={suspended: False})

    world.minutes(1, load)

    assert (resting, len(world.fleets.asked)) == ([], 1)


def test_a_scale_in_needs_every_policy_that_may_scale_in(world: World) -> None:
    """The second policy follows a metric of the user's own, which stays at its target."""
    own = {"Namespace": "Digits", "MetricName": "Queue", "Statistic": "Average"}
    world.register()
    world.track()
    request = policy("queue", CustomizedMetricSpecification=own)
    del request["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
    world.call("PutScalingPolicy", **request)
    for _ in range(20):
        world.store.put("Digits", "Queue", {}, TARGET)
        world.minutes(1, 0)
    disagreeing = list(world.fleets.asked)

    for _ in range(20):
        world.store.put("Digits", "Queue", {}, 0.0)
        world.minutes(1, 0)

    assert (disagreeing, world.fleets.asked) == ([], [1])


def test_a_refusal_by_sagemaker_ends_the_activity_as_failed(world: World) -> None:
    world.register()
    world.track()
    world.fleets.refuses = AwsError(
        "ResourceLimitExceeded", "The account-level service limit is 2 Instances."
    )

    world.minutes(3, 840)

    (activity,) = world.activities()
    assert activity["StatusCode"] == "Failed"
    assert "The account-level service limit is 2 Instances." in activity["StatusMessage"]


def test_a_change_that_sagemaker_takes_back_is_unfulfilled(world: World) -> None:
    world.register()
    world.track()
    world.minutes(3, 840, settle=False)
    world.fleets.variants["digits", "AllTraffic"] = VariantState("InService", "ml.m5.large", 2, 2)

    world.service.tick()

    assert [activity["StatusCode"] for activity in world.activities()] == ["Unfulfilled"]


def test_deregistering_takes_policies_and_alarms_along(world: World) -> None:
    world.register()
    names = [alarm["AlarmName"] for alarm in world.track()["Alarms"]]

    world.call("DeregisterScalableTarget", **IDENTITY)

    assert [world.alarms.state(name) for name in names] == [None, None]
    assert world.call("DescribeScalingPolicies", ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert not world.service.is_registered("digits", "AllTraffic")


def test_a_deleted_endpoint_is_deregistered(world: World) -> None:
    world.register()
    names = [alarm["AlarmName"] for alarm in world.track()["Alarms"]]
    there = world.service.is_registered("digits", "AllTraffic")
    del world.fleets.variants["digits", "AllTraffic"]

    world.service.tick()

    assert (there, world.service.is_registered("digits", "AllTraffic")) == (True, False)
    assert [world.alarms.state(name) for name in names] == [None, None]


def test_a_deleted_policy_no_longer_scales(world: World) -> None:
    world.register()
    world.track()

    world.call("DeleteScalingPolicy", **IDENTITY, PolicyName="load")

    world.minutes(5, 900)
    assert world.fleets.asked == []


def test_high_resolution_scales_out_within_half_a_minute(world: World) -> None:
    kind = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    world.register()
    world.track(TargetValue=4.0, PredefinedMetricSpecification={"PredefinedMetricType": kind})
    for _ in range(3):
        world.store.put("AWS/SageMaker", "ConcurrentRequestsPerModel", METRIC[2], 7.0)
        world.clock.at += 10 / 60
        world.alarms.tick()
        world.service.tick()

    assert world.fleets.asked == [4]


def test_long_lists_come_in_pages(world: World) -> None:
    for number in range(3):
        world.fleets.variants[f"e{number}", "A"] = VariantState("InService", "ml.m5.large", 1, 1)
        identity = IDENTITY | {"ResourceId": f"endpoint/e{number}/variant/A"}
        world.call("RegisterScalableTarget", **identity, MinCapacity=1, MaxCapacity=2)
    describe: Callable[..., dict[str, Any]] = lambda **more: world.call(  # noqa: E731
        "DescribeScalableTargets", ServiceNamespace="sagemaker", MaxResults=2, **more
    )

    first = describe()
    second = describe(NextToken=first["NextToken"])

    found = [target["ResourceId"] for page in (first, second) for target in page["ScalableTargets"]]
    assert found == [f"endpoint/e{number}/variant/A" for number in range(3)]
    assert "NextToken" not in second
    with pytest.raises(AwsError, match="not valid"):
        describe(NextToken="x")


def test_timestamps_are_wall_clock(world: World) -> None:
    world.register()

    (target,) = world.call("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]

    assert datetime.fromtimestamp(target["CreationTime"], UTC).year == 2027
