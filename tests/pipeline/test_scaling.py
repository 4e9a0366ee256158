"""Scaling is judged from what the fleet was seen to do, and from requests that were lost."""

from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.gates import Verdict
from pipeline.verification.scaling import (
    LEAST_RPS,
    FleetSample,
    gentle_plan,
    plan_scaling,
    returned_at,
    scaled_out_at,
    traffic_rps,
)
from pipeline.verification.scaling_gates import ScalingLimits, ScalingRun, judge_scaling

LIMITS = ScalingLimits(out_seconds=60, in_seconds=120)


@given(
    capacity=st.floats(5, 5000),
    safety=st.floats(0.05, 1),
    instances=st.integers(1, 20),
    more=st.integers(1, 20),
)
def test_a_surge_makes_the_policy_act_and_can_be_served_by_the_present_fleet(
    capacity: float, safety: float, instances: int, more: int
) -> None:
    plan = plan_scaling(
        capacity_rps=capacity,
        target_rps=capacity * safety,
        instances=instances,
        maximum=instances + more,
    )
    assume(plan.surge_rps is not None)
    assert plan.surge_rps is not None

    assert plan.surge_rps / instances > 1.2 * safety * capacity, "it would not be over the target"
    assert plan.surge_rps / instances < 0.9 * capacity, "the present fleet could not serve it"
    assert plan.steady_rps / instances < 0.9 * safety * capacity, "the steady load would scale out"
    assert plan.calm_rps == LEAST_RPS or plan.calm_rps / instances < 0.5 * safety * capacity


@given(capacity=st.floats(5, 5000), instances=st.integers(1, 20), share=st.floats(0, 0.75))
def test_what_clients_send_already_is_a_part_of_the_load(
    capacity: float, instances: int, share: float
) -> None:
    """A load that ignores it scales the fleet before its time: "not at rest"."""
    plan = partial(
        plan_scaling,
        capacity_rps=capacity,
        target_rps=capacity / 2,
        instances=instances,
        maximum=2 * instances,
    )
    existing = share * instances * capacity / 2
    alone, beside = plan(), plan(existing_rps=existing)
    assert alone.surge_rps is not None
    assert beside.surge_rps is not None

    assert beside.steady_rps + existing == pytest.approx(alone.steady_rps)
    assert beside.surge_rps + existing == pytest.approx(alone.surge_rps)
    assert beside.calm_rps >= LEAST_RPS


def test_clients_that_keep_the_fleet_at_its_target_leave_nothing_to_measure() -> None:
    plan = plan_scaling(capacity_rps=12, target_rps=6, instances=2, maximum=4, existing_rps=11)

    assert plan.surge_rps is None
    assert plan.steady_rps == LEAST_RPS
    assert "clients send 11/s already, and the target of 2 instances is 12/s" in plan.reason


def test_a_fleet_of_unknown_capacity_gets_half_of_what_one_instance_served() -> None:
    """A model that serves five a second is not given ten for not being known for sure."""
    assert gentle_plan(5.0, 5.0, 2, "not known").steady_rps == 5.0
    assert gentle_plan(None, 1.0, 2, "not known").steady_rps == 1.0
    assert gentle_plan(5.0, 5.0, 2, "not known").surge_rps is None


def test_the_traffic_of_clients_is_counted_by_the_minute() -> None:
    """Two minutes of three have requests; a missing one had none."""
    on_aws = traffic_rps([(60.0, 300.0), (180.0, 300.0)], since=60.0, scale=1.0)
    thirty_times_faster = traffic_rps([(2.0, 300.0), (6.0, 300.0)], since=2.0, scale=30.0)

    assert on_aws == thirty_times_faster == pytest.approx(600 / 180)
    assert traffic_rps([], since=60.0, scale=1.0) == 0.0


@pytest.mark.parametrize(
    ("safety", "maximum", "reason"),
    [(0.9, 4, "lower autoscaling.safety_factor"), (0.5, 2, "cannot scale")],
)
def test_where_no_such_rate_exists_the_plan_says_why(safety: float, maximum: int, reason: str) -> None:
    plan = plan_scaling(capacity_rps=100, target_rps=100 * safety, instances=2, maximum=maximum)

    assert plan.surge_rps is None
    assert reason in plan.reason


def history(*rows: tuple[float, str, int, int]) -> tuple[FleetSample, ...]:
    return tuple(FleetSample(at, status, current, desired) for at, status, current, desired in rows)


GREW = history(
    (95, "InService", 2, 2),
    (105, "InService", 2, 2),
    (110, "Updating", 2, 4),
    (115, "Updating", 3, 4),
    (120, "InService", 4, 4),
)
SHRANK = history((150, "InService", 4, 4), (160, "Updating", 4, 2), (170, "InService", 2, 2))


def run(samples: tuple[FleetSample, ...], **changes: object) -> ScalingRun:
    found: dict[str, object] = {"samples": samples, "instances": 2, "rose_at": 100.0, "fell_at": 121.0}
    return ScalingRun(**(found | {"requests": 1000, "lost": 0} | changes))  # type: ignore[arg-type]


def verdicts(run: ScalingRun | None) -> list[Verdict]:
    return [gate.verdict for gate in judge_scaling(run, LIMITS, why_not="nobody tried")]


def test_a_fleet_that_grew_and_came_back_in_time_without_loss_passes() -> None:
    gates = judge_scaling(run(GREW + SHRANK), LIMITS)

    assert [gate.verdict for gate in gates] == [Verdict.PASSED] * 4
    assert [gate.measured for gate in gates] == [20, 49, 0, 0]


def test_new_instances_count_only_once_the_endpoint_is_in_service_with_them() -> None:
    assert scaled_out_at(GREW, 100, 2) == 120
    assert scaled_out_at(GREW[:-1], 100, 2) is None


def test_the_fleet_is_back_only_when_the_old_instances_are_gone() -> None:
    assert returned_at(SHRANK, 140, 2) == 170
    assert returned_at(SHRANK[:-1], 140, 2) is None


def test_what_had_not_happened_when_the_limit_passed_is_failed_and_says_how_it_stood() -> None:
    gate = judge_scaling(run(history((95, "InService", 2, 2), (161, "InService", 2, 2))), LIMITS)[0]

    assert gate.verdict is Verdict.FAILED
    assert "still InService with 2 of 2 instances" in gate.reason


def test_growth_that_came_too_late_is_failed_by_its_own_gate() -> None:
    late = history((95, "InService", 2, 2), (165, "InService", 3, 3), (200, "InService", 2, 2))

    assert verdicts(run(late, fell_at=166.0)) == [
        Verdict.FAILED,
        Verdict.PASSED,
        Verdict.PASSED,
        Verdict.PASSED,
    ]


def test_a_fleet_that_does_not_shrink_is_failed_by_its_own_gate() -> None:
    stuck = (*GREW, *history((300, "InService", 4, 4)))

    assert verdicts(run(stuck)) == [Verdict.PASSED, Verdict.FAILED, Verdict.PASSED, Verdict.PASSED]


def test_one_lost_request_is_a_failure() -> None:
    assert verdicts(run(GREW + SHRANK, lost=1))[3] is Verdict.FAILED


@pytest.mark.parametrize(
    "inconclusive",
    [
        None,
        run(history((95, "InService", 2, 2), (120, "InService", 2, 2))),  # watched for too short
        run(history((95, "InService", 2, 3), (120, "InService", 3, 3))),  # it grew before the load did
        run(history((101, "InService", 3, 3))),  # nobody saw how it stood before
    ],
)
def test_what_was_not_seen_is_inconclusive(inconclusive: ScalingRun | None) -> None:
    assert verdicts(inconclusive)[0] is Verdict.INCONCLUSIVE


def test_what_an_overstrained_generator_lost_is_not_laid_at_the_endpoints_door() -> None:
    assert verdicts(run(GREW + SHRANK, lost=1, invalid="late"))[3] is Verdict.INCONCLUSIVE
    assert verdicts(run(GREW + SHRANK, invalid="late"))[3] is Verdict.PASSED, (
        "nothing was lost in spite of it"
    )


def test_nothing_sent_is_no_proof_that_nothing_was_lost() -> None:
    assert verdicts(run(GREW + SHRANK, requests=0))[3] is Verdict.INCONCLUSIVE


FLAPPED = history((125, "InService", 4, 3), (130, "InService", 3, 4), (140, "InService", 4, 4))


def test_a_fleet_that_grows_shrinks_and_grows_again_is_failed_by_its_own_gate() -> None:
    assert verdicts(run(GREW + FLAPPED + SHRANK)) == [
        Verdict.PASSED, Verdict.PASSED, Verdict.FAILED, Verdict.PASSED
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("decisions", "turns"),
    [((4, 2), 0), ((3, 4, 3, 2), 0), ((4, 3, 4, 2), 2), ((4, 2, 3, 2), 2), ((4, 2, 4), 1)],
)
def test_autoscalings_own_decisions_say_how_often_it_turned_round(
    decisions: tuple[int, ...], turns: int
) -> None:
    """They are complete; a look once a second is not."""
    assert judge_scaling(run(GREW + SHRANK, decisions=decisions), LIMITS)[2].measured == turns


RECOVERY = ScalingLimits(60, 120, recovery_seconds=20)


@pytest.mark.parametrize(
    ("breached_at", "recovered_at", "verdict"),
    [
        (105.0, 120.0, Verdict.PASSED),
        (105.0, 126.0, Verdict.FAILED),
        (105.0, None, Verdict.INCONCLUSIVE),  # the surge ended too soon to tell
        (100.0, None, Verdict.FAILED),
        (None, None, Verdict.INCONCLUSIVE),  # nothing was broken, so nothing could recover
    ],
)
def test_recovery_is_judged_from_the_breach_on(
    breached_at: float | None, recovered_at: float | None, verdict: Verdict
) -> None:
    found = run(GREW + SHRANK, breached_at=breached_at, recovered_at=recovered_at)

    assert judge_scaling(found, RECOVERY)[-1].verdict is verdict
    assert len(judge_scaling(None, RECOVERY)) == 5


def test_an_overload_is_more_than_the_present_fleet_serves_and_within_what_the_largest_does() -> None:
    rates = {"capacity_rps": 100.0, "target_rps": 50.0}

    plan = plan_scaling(**rates, instances=2, maximum=4, overload=1.2)
    too_much = plan_scaling(**rates, instances=2, maximum=3, overload=1.4)

    assert (plan.surge_rps, plan.is_overload) == (240.0, True)
    assert too_much.surge_rps is None
    assert "lower load.*.overload" in too_much.reason
