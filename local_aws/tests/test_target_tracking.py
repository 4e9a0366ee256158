"""Target tracking scales by its alarms, within limits, cooldowns and suspensions."""

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.protocols import VariantState
from testbed.scaling_simulation import METRIC, TARGET, ScalingSimulation, policy


@pytest.fixture
def simulation() -> ScalingSimulation:
    return ScalingSimulation()


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


def test_one_metric_is_tracked_by_one_policy(simulation: ScalingSimulation) -> None:
    """The same policy may be put again, and another metric may have one of its own."""
    simulation.register()
    simulation.track()
    simulation.track()

    with pytest.raises(
        AwsError, match="Only one TargetTrackingScaling policy for a given metric specification"
    ):
        simulation.track("second")
    concurrency = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    simulation.track("second", PredefinedMetricSpecification={"PredefinedMetricType": concurrency})


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


def test_high_resolution_scales_out_within_half_a_minute(simulation: ScalingSimulation) -> None:
    kind = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    simulation.register()
    simulation.track(TargetValue=4.0, PredefinedMetricSpecification={"PredefinedMetricType": kind})
    series = simulation.store.series("AWS/SageMaker", "ConcurrentRequestsPerModel", METRIC[2], unit="None")
    series.is_high_resolution = True
    for _ in range(3):
        series.put(7.0)
        simulation.clock.at += 10 / 60
        simulation.alarms.tick()
        simulation.service.tick()

    assert simulation.fleets.asked == [4]
