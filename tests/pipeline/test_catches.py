"""Releases with a fault: where each is caught, under each strategy, with few clients and with many."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.autoscaling.autoscale import autoscale
from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.config import Environment
from pipeline.deployment.deploy import deploy
from pipeline.errors import (
    AwsUnreachable,
    DeploymentFailed,
    DeploymentRolledBack,
    PipelineError,
    SmokeFailed,
)
from pipeline.gates import Gate, Verdict
from pipeline.release import Release
from pipeline.release_store.golden import fetch_golden
from pipeline.run import Run
from pipeline.verification.measure import Bench
from pipeline.verification.scaling import ScalingPlan, plan_scaling
from pipeline.verification.scaling_gates import ScalingLimits, judge_scaling
from pipeline.verification.smoke import run_smoke
from pipeline.verification.steady_gates import judge_steady
from pipeline.verification.under_load import run_under_load, scaling_run, wait_for_rest
from tests.pipeline.catches import (
    ALLOWED_SECONDS,
    FAULTS,
    NOT_CAUGHT,
    STRATEGIES,
    TIME_SCALE,
    TRAFFIC,
    caught_by,
    clients,
    published_with,
)
from tests.pipeline.scene import ROOT, contract_cloud

MakeEnv = Callable[..., Environment]
INSTANCES, CAPACITY = 3, 40.0  # CAPACITY: requests a second and instance, far below what one can do here
DEPLOYMENT = {  # 20 s a bake
    "bake_seconds": 600, "maximum_execution_seconds": 28800, "probe_requests_per_second": 60, "canary_percent": 34,
    "linear_percent": 34, "batch_percent": 34,
}  # fmt: skip
QUICK = {"step_seconds": 2, "first_rps": 20, "growth": 2, "maximum_rps": 100, "steady_seconds": 5}
ENDPOINT = {"name": "faulty", "initial_instances": INSTANCES, "startup_timeout_seconds": ALLOWED_SECONDS}
LIMITS = {"scale_out_seconds": 20, "scale_in_seconds": 60}  # by the clock of this machine


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[local_aws.Running]:
    """Run an AWS of the case's own; a minute of it takes two seconds."""
    with contract_cloud(time_scale=TIME_SCALE, cpu_scale=0.5, endpoint_quotas="*=200") as running:
        for name, value in running.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(ROOT)
        yield running


def run_by(strategy: str, make_env: MakeEnv, folder: Path) -> Run:
    """Return a run in an environment that deploys by a strategy."""
    env = make_env(
        endpoint=ENDPOINT,
        deployment=DEPLOYMENT | {"strategy": strategy},
        autoscaling={"min_instances": INSTANCES, "max_instances": INSTANCES + 1},
        limits=LIMITS,
    )
    profile = env.load.quick.model_validate({**env.load.quick.model_dump(), **QUICK})
    run = Run.for_environment(
        env.model_copy(update={"load": env.load.model_copy(update={"quick": profile})}), folder
    )
    bootstrap(run)
    return run


def failed_gates(gates: tuple[Gate, ...]) -> str:
    """Return the names of the gates of `verify` that FAILED."""
    return " + ".join(f"verify: {gate.name}" for gate in gates if gate.verdict is Verdict.FAILED)


def verified_steadily(release: Release, run: Run) -> str:
    """Put a live release through the smoke tests and a steady load; return what failed."""
    golden = fetch_golden(release, run)
    if not run_smoke(release, run, golden).passed:
        return "verify: smoke"
    plan = ScalingPlan(steady_rps=40, surge_rps=None, calm_rps=1, reason="")
    result, _ = run_under_load(
        run, Bench(run.build, golden, run.env.load.quick), plan, run.build / "steady.json"
    )
    return failed_gates(judge_steady(result, run.env, release.id))


def verified_by_scaling(release: Release, run: Run) -> str:
    """Raise the load over the target of a policy; return what failed."""
    autoscale(run, MeasuredCapacity(CAPACITY))
    assert wait_for_rest(run, INSTANCES)
    target = CAPACITY * run.env.autoscaling.safety_factor
    plan = plan_scaling(capacity_rps=CAPACITY, target_rps=target, instances=INSTANCES, maximum=INSTANCES + 1)
    bench = Bench(run.build, fetch_golden(release, run), run.env.load.quick)
    result, samples = run_under_load(run, bench, plan, run.build / "scaling.json")
    limits = ScalingLimits(run.env.limits.scale_out_seconds, run.env.limits.scale_in_seconds)
    return failed_gates(judge_scaling(scaling_run(result, samples, INSTANCES), limits))


def first_alarm(records: list[logging.LogRecord], default: float) -> float:
    """Return when the deployment first saw an alarm fire, in epoch seconds."""
    return min((each.created for each in records if "is in ALARM" in each.getMessage()), default=default)


@dataclass(frozen=True)
class Play:
    """One AWS, on which a release with a fault is deployed while clients send requests."""

    make_env: MakeEnv
    folder: Path
    caplog: pytest.LogCaptureFixture

    def catch(self, fault: str, strategy: str, traffic: str) -> dict[str, str | float | bool]:
        """Return where the release was caught, after how long, and what clients lost."""
        run, full = run_by(strategy, self.make_env, self.folder / "build"), self.folder / "full"
        good = published_with(run, self.folder, "good", "faulty none 0")
        release = published_with(run, self.folder, "release", FAULTS[fault].behaviour.format(full=full))
        deploy(good, run)
        with clients(run, TRAFFIC[traffic]) as seen:
            seen.wait_for_answers(3)
            self.caplog.clear()
            began = run.clock.now()
            try:
                deploy(release, run)
                where = verified_steadily(release, run)
            except PipelineError as error:
                where = caught_by(error)
            at = first_alarm(self.caplog.records, run.clock.now())
            full.touch()
        if not where and fault in {"none", "cannot scale"}:
            where, at = verified_by_scaling(release, run), run.clock.now()
        return {
            "fault": fault, "strategy": strategy, "traffic": traffic, "where": where or NOT_CAUGHT,
            "seconds": round((at - began) * TIME_SCALE), "lost": seen.lost, "wrong": seen.wrong,
            "requests": seen.answers, "required": FAULTS[fault].must(strategy),
        }  # fmt: skip


@pytest.fixture
def play(
    cloud: local_aws.Running, make_env: MakeEnv, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Play:
    return Play(make_env, tmp_path, caplog)


@pytest.mark.measures
@pytest.mark.starts_processes
def test_wrong_weights_are_caught_by_the_smoke_veto(play: Play) -> None:
    """The quickest case; `make prove` has them all."""
    found = play.catch("wrong weights", "canary", "1/s")

    assert (found["where"], found["lost"]) == ("smoke veto", 0)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.measures
@pytest.mark.starts_processes
@pytest.mark.timeout(900)
@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_release_with_a_fault_is_caught_if_it_must_be(
    fault: str, strategy: str, traffic: str, play: Play, record_property: Callable[[str, str], None]
) -> None:
    """Record what is below the stated power; a release without a fault must be let through."""
    found = play.catch(fault, strategy, traffic)
    record_property("catch", json.dumps(found))

    assert found["where"] != NOT_CAUGHT or not found["required"], found
    assert found["where"] == NOT_CAUGHT or fault != "none", found


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (DeploymentFailed("x", fix="x"), "start"),
        (SmokeFailed("r is live on e, but failed its golden tests: golden case 1: x", fix="x"), "smoke test, when live"),
        (SmokeFailed("r is live on e, but worse than the old fleet: x", fix="x"), "judge, too late"),
        (DeploymentRolledBack("e", wanted="b", live="a", because="FailureReason: unhealthy"), "start"),
        (
            DeploymentRolledBack("e", wanted="b", live="a", because="Alarm 5xx-errors: x Alarm slow-requests: y"),
            "5xx-errors + slow-requests",
        ),
        (
            DeploymentRolledBack(
                "e", wanted="b", live="a", because="Alarm smoke-veto: x worse than the old fleet: y"
            ),
            "judge",
        ),
        (
            DeploymentRolledBack("e", wanted="b", live="a", because="Alarm smoke-veto: x golden case 3: y"),
            "smoke veto",
        ),
    ],
)  # fmt: skip
def test_the_part_that_refused_a_release_is_named_by_the_error(error: PipelineError, where: str) -> None:
    assert caught_by(error) == where


def test_an_error_that_is_no_verdict_on_the_release_is_none() -> None:
    with pytest.raises(AwsUnreachable):
        caught_by(AwsUnreachable("no answer", fix="x"))
