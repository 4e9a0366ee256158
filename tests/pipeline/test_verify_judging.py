"""Judging a load test: steps, samples, gates, and signals to the one under way."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pipeline.aws import AwsClient
from pipeline.config import Environment
from pipeline.errors import GateFailed, LoadTestBroken, ReleaseError, VerificationInconclusive
from pipeline.gates import Gate, Verdict, overall
from pipeline.release import Release
from pipeline.run import Run
from pipeline.verification.evidence import Evidence
from pipeline.verification.load import LoadResult, PhaseResult, RunningLoad, wait_for_end
from pipeline.verification.measure import long_enough, steps_of, with_concurrency
from pipeline.verification.scaling import FleetSample
from pipeline.verification.steady_gates import judge_steady
from pipeline.verification.under_load import PhaseController, fleet_sample, scaling_run
from pipeline.verification.verify import require_passed, verify


def phase(name: str, started: float, finished: float, **changes: Any) -> dict[str, Any]:
    good = {"name": name, "offered_rps": 50.0, "started": started, "finished": finished, "requests": 500}
    good |= {"failures": 0, "achieved_rps": 50.0, "p50_ms": 9.0, "p95_ms": 20.0, "p99_ms": 30.0}
    good |= {
        "max_ms": 40.0,
        "generator_cpu_percent": 8.0,
        "slow": None,
        "lag_p99_ms": 1.0,
        "invalid": None,
        "errors": {},
    }
    return good | changes


def result(*phases: dict[str, Any], **changes: Any) -> LoadResult:
    document = {"schema": 1, "endpoint": "e", "started": 0.0, "finished": 99.0, "phases": phases}
    document |= {
        "seconds": [],
        "fleet": [],
        "first_answers": {},
        "identities": {"r1": {"i1": 250, "i2": 250}},
    }
    return LoadResult.model_validate(document | changes)


def verdicts(gates: tuple[Gate, ...]) -> list[str]:
    return [gate.verdict.value for gate in gates]


@pytest.mark.parametrize(
    ("changes", "identities", "expected"),
    [
        ({}, {"r1": {"i1": 500}}, ["passed", "passed", "passed"]),
        ({"p99_ms": 501.0}, {"r1": {"i1": 500}}, ["failed", "passed", "passed"]),
        ({"failures": 6}, {"r1": {"i1": 494}}, ["passed", "failed", "passed"]),
        ({"failures": 500, "p99_ms": None}, {}, ["inconclusive", "failed", "inconclusive"]),
        ({"requests": 99}, {"r1": {"i1": 99}}, ["inconclusive", "inconclusive", "passed"]),
        ({"p99_ms": 501.0, "invalid": "late"}, {"r1": {"i1": 500}}, ["inconclusive", "passed", "passed"]),
        ({"p99_ms": 499.0, "invalid": "late"}, {"r1": {"i1": 500}}, ["passed", "passed", "passed"]),
        ({"requests": 449}, {"r1": {"i1": 449}}, ["inconclusive", "passed", "passed"]),
        ({}, {"r1": {"i1": 499}, "r0": {"i9": 1}}, ["passed", "passed", "failed"]),
        ({}, {"unknown": {"unknown": 500}}, ["passed", "passed", "failed"]),
    ],
)
def test_the_steady_load_is_judged_by_latency_errors_and_release(
    env: Environment, changes: dict[str, Any], identities: dict[str, Any], expected: list[str]
) -> None:
    load = result(phase("steady", 0, 10, **changes), identities=identities)

    assert verdicts(judge_steady(load, env, "r1")) == expected


def test_without_a_steady_load_nothing_about_it_is_known(env: Environment) -> None:
    assert verdicts(judge_steady(result(), env, "r1")) == ["inconclusive"] * 3


def test_a_steps_cpu_is_the_highest_sample_within_it_and_none_is_none() -> None:
    steps = steps_of(result(phase("a", 0, 4), phase("b", 4, 8)), [(-1, 99.0), (1, 50.0), (3, 70.0)])

    assert [step.instance_cpu_percent for step in steps] == [70.0, None]


def test_a_steps_concurrency_is_the_median_of_its_samples_and_none_is_none() -> None:
    load = result(phase("a", 0, 4), phase("b", 4, 8))
    found = with_concurrency(steps_of(load, []), load, [(-1, 9.0), (0, 2.0), (1, 8.0), (2, 3.0)])

    assert [step.concurrency for step in found] == [3.0, None]


def test_a_step_without_any_request_counts_as_all_wrong() -> None:
    (step,) = steps_of(result(phase("a", 0, 4, requests=0, p99_ms=None)), [])

    assert step.error_percent == 100


@pytest.mark.parametrize(("rate", "seconds"), [(100.0, 10.0), (10.0, 12.0), (1.0, 120.0)])
def test_a_slow_rate_is_held_for_as_long_as_its_samples_take(rate: float, seconds: float) -> None:
    assert long_enough(10.0, rate, 100) == seconds


class FakeLoad:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def next_phase(self) -> None:
        self.told.append("next")

    def stop(self) -> None:
        self.told.append("stop")


def test_latencies_of_the_rise_are_not_judged_and_its_failures_are(env: Environment) -> None:
    rise = phase("warm-up", 0, 4, requests=100, failures=10, p99_ms=9000.0)
    latency, errors, _ = judge_steady(result(rise, phase("steady", 4, 14)), env, "r1")

    assert latency.verdict is Verdict.PASSED
    assert errors.verdict is Verdict.FAILED
    assert errors.measured == pytest.approx(100 * 10 / 600)


def conduct(*looks: tuple[list[str], str, int, int]) -> list[str]:
    load, samples = FakeLoad(), []
    conductor = PhaseController(load, 2)  # type: ignore[arg-type]
    for at, (ended, status, current, desired) in enumerate(looks):
        samples.append(FleetSample(float(at), status, current, desired))
        conductor.look(ended, samples)
    return load.told


STEADY, RESTING, RISEN = list[str](), ["steady"], ["steady", "rest"]
FALLEN = [*RISEN, "surge"]


def test_the_surge_ends_when_the_fleet_has_grown_and_the_calm_when_it_is_back() -> None:
    told = conduct(
        (STEADY, "InService", 2, 2),
        (RESTING, "InService", 2, 2),
        (RISEN, "InService", 2, 2),
        (RISEN, "Updating", 2, 3),
        (RISEN, "InService", 3, 3),
        (RISEN, "InService", 3, 3),
        (FALLEN, "InService", 3, 3),
        (FALLEN, "Updating", 2, 2),
        (FALLEN, "InService", 2, 2),
    )

    assert told == ["next", "next", "stop"]


def test_a_fleet_that_the_steady_load_has_scaled_comes_to_rest_before_the_surge() -> None:
    told = conduct(
        (STEADY, "Updating", 2, 3),
        (RESTING, "InService", 3, 3),
        (RESTING, "Updating", 3, 2),
    )
    assert told == []

    told = conduct(
        (RESTING, "InService", 3, 3),
        (RESTING, "InService", 2, 2),
        (RESTING, "InService", 2, 2),
    )
    assert told == ["next"], "and it is asked once"


def test_a_surge_that_began_without_rest_is_not_ended_for_it() -> None:
    assert conduct((RESTING, "InService", 3, 3), (RISEN, "InService", 2, 2)) == []


def test_a_fleet_that_did_not_grow_in_time_is_not_waited_for_any_longer() -> None:
    told = conduct((RISEN, "InService", 2, 2), (FALLEN, "InService", 2, 2), (FALLEN, "InService", 2, 2))

    assert told == ["stop"]


def test_an_overload_lasts_half_as_long_again_as_the_fleet_took_to_grow_and_five_seconds() -> None:
    load = FakeLoad()
    conductor = PhaseController(load, 2, is_overload=True)  # type: ignore[arg-type]
    samples: list[FleetSample] = []
    for at in range(100, 125):
        count = 3 if at >= 110 else 2
        samples.append(FleetSample(float(at), "InService", count, count))
        conductor.look(RISEN, samples)
        if at == 119:
            assert load.told == []

    assert load.told == ["next"], "grown after 10 s: ten more until the queue may be gone, and asked once"


def test_under_an_overload_only_what_the_shrinking_fleet_loses_is_a_loss() -> None:
    load = result(phase("surge", 10, 20, failures=2), phase("calm", 20, 30, failures=1))
    run = scaling_run(load, (), 2, is_overload=True)

    assert run is not None
    assert (run.requests, run.lost) == (500, 1)


def test_losses_are_counted_from_the_rise_to_the_end() -> None:
    load = result(
        phase("steady", 0, 10, failures=9),
        phase("surge", 10, 20, failures=2),
        phase("calm", 20, 30, failures=1),
    )
    run = scaling_run(load, (), 2)

    assert run is not None
    assert (run.rose_at, run.fell_at, run.requests, run.lost) == (10, 20, 1000, 3)
    assert scaling_run(result(phase("steady", 0, 10)), (), 2) is None


@dataclass
class FakeClient(AwsClient):
    """Describes one endpoint; the bucket is empty."""

    described: dict[str, Any] | None = None

    @override
    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        return self.described

    @override
    def get_json(self, key: str) -> None:
        return None


def where(env: Environment, described: dict[str, Any] | None) -> Run:
    return Run(env, FakeClient(env.aws, described=described), Path("build"))


def test_an_endpoint_that_is_gone_has_no_counts(env: Environment) -> None:
    sample = fleet_sample(where(env, None))

    assert (sample.status, sample.current, sample.desired) == ("gone", None, None)


@pytest.mark.parametrize("described", [None, {"EndpointConfigName": "another"}])
def test_a_release_that_is_not_live_is_not_verified(
    env: Environment, release: Release, tmp_path: Path, described: dict[str, Any] | None
) -> None:
    with pytest.raises(ReleaseError, match="is not live"):
        verify(release, where(env, described), "quick")


def running(tmp_path: Path, code: str) -> RunningLoad:
    log = tmp_path / "load.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=output, stderr=output)
    return RunningLoad(process, tmp_path / "result.json", log)


@pytest.mark.starts_processes
def test_a_load_test_that_leaves_no_result_shows_its_last_lines(tmp_path: Path) -> None:
    load = running(tmp_path, "raise SystemExit('no such endpoint')")
    wait_for_end(load, 20)

    with pytest.raises(LoadTestBroken, match=r"exit code 1(?s:.*)no such endpoint"):
        load.read()


@pytest.mark.starts_processes
def test_a_load_test_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    load = running(tmp_path, "import time; time.sleep(60)")
    try:
        with pytest.raises(LoadTestBroken, match="still runs after 0 s"):
            wait_for_end(load, 0.1)
    finally:
        load.process.kill()
        load.process.wait()


@pytest.mark.starts_processes
def test_each_phase_is_said_once_as_it_ends(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    load = running(tmp_path, "print('noise'); print('phase steady: 50/s'); print('phase surge: 90/s')")
    load.process.wait(timeout=20)

    assert load.report() == load.report() == ["steady", "surge"]
    assert said() == ["  steady: 50/s", "  surge: 90/s"]


@pytest.fixture
def evidence() -> Callable[..., Evidence]:
    def make(*found: Verdict) -> Evidence:
        gates = tuple(
            Gate(name=f"gate {n}", metric="m", limit=1, measured=1, unit="", verdict=each, reason=f"why {n}")
            for n, each in enumerate(found)
        )
        return Evidence(
            release="r", environment="staging", endpoint="e", config="c", profile="quick", started=0,
            finished=1, verdict=overall(gates), gates=gates, capacity=None, load=(),
        )  # fmt: skip

    return make


def test_failed_evidence_raises_with_every_failed_gate(evidence: Callable[..., Evidence]) -> None:
    require_passed(evidence(Verdict.PASSED))

    with pytest.raises(GateFailed, match="gate 0: why 0\n  gate 2: why 2"):
        require_passed(evidence(Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.FAILED))
    with pytest.raises(VerificationInconclusive, match="gate 1: why 1"):
        require_passed(evidence(Verdict.PASSED, Verdict.INCONCLUSIVE))


def test_the_result_of_the_load_tests_room_is_what_the_pipeline_reads() -> None:
    """Rooms meet through files: the recorder's own result must load here, and nothing may be lost."""
    from load_tests.recorder import Recorder

    recorder = Recorder()
    recorder.begin_phase("steady", 10.0, now=1.0, cpu_seconds=0.0)
    recorder.record(1.5, 12.0, None)
    recorder.record(1.6, 12.0, "broken")
    recorder.end_phase(now=2.0, cpu_seconds=0.1)
    recorder.fleet.append(
        {"at": 1.0, "status": "unreadable", "config": None, "current": None, "desired": None, "pending": None}
    )
    recorder.count_answer("r", "i", at=1.5)
    recorder.record(1.7, 12.0, None, side=1)
    document = json.loads(json.dumps(recorder.result("e", "other")))

    assert LoadResult.model_validate(document).document() == document
    assert PhaseResult.model_validate(document["phases"][0]).error_percent == pytest.approx(100 / 3)
