"""Verification against live endpoints: real Locust, real smoke tests, real scaling, and real trouble."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import golden
import local_aws
from local_aws.start import Running
from pipeline.account.bootstrap import bootstrap
from pipeline.autoscaling.autoscale import autoscale
from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.config import Environment
from pipeline.deployment.deploy import deploy
from pipeline.deployment.plan import plan_capacity_endpoint
from pipeline.errors import ConfigError, GateFailed, LoadTestBroken, VerificationInconclusive
from pipeline.gates import Gate, Verdict
from pipeline.publishing.golden_sets import store_file
from pipeline.publishing.publish import publish
from pipeline.release import Release
from pipeline.release_store.golden import fetch_golden
from pipeline.run import Run
from pipeline.verification.capacity_endpoint import capacity_endpoint
from pipeline.verification.evidence import Evidence, evidence_key
from pipeline.verification.load import LoadResult
from pipeline.verification.load_shapes import LoadTestOptions
from pipeline.verification.measure import Bench
from pipeline.verification.run_load_test import (
    GeneratorResult,
    judge_joined,
    offer_share,
    run_load_test,
)
from pipeline.verification.scaling import ScalingPlan, plan_scaling
from pipeline.verification.scaling_gates import ScalingLimits, judge_scaling
from pipeline.verification.steady_gates import judge_steady
from pipeline.verification.under_load import run_under_load, scaling_run, wait_for_rest
from pipeline.verification.verify import verify

pytestmark = [pytest.mark.measures, pytest.mark.starts_processes]

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("troubled_server.py")
CAPACITY = 40.0  # requests per second and instance: far below what one can do here
PROFILE = {"step_seconds": 1.5, "first_rps": 30, "growth": 2, "maximum_rps": 240, "steady_seconds": 3}


@dataclass
class Live:
    """A release that is live in an environment of its own, and the file that gets it into trouble."""

    run: Run
    release: Release
    trouble: Path
    running: Running

    def verify(self, **options: Any) -> Evidence:
        return verify(self.release, self.run, "quick", **options)

    def stored(self) -> Evidence:
        return Evidence.model_validate(
            self.run.aws.get_json(evidence_key(self.release.id, self.run.env.name))
        )

    @property
    def bench(self) -> Bench:
        return Bench(self.run.build / "load", fetch_golden(self.release, self.run), self.run.env.load.quick)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One endpoint for all tests here; a minute of AWS takes half a second."""
    folder = tmp_path_factory.mktemp("verify")
    document: dict[str, Any] = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())
    document["endpoint"] |= {"name": "verified", "environment": {"TROUBLE": str(folder / "trouble")}}
    document["load"]["quick"] = PROFILE
    quality = {"metric": "accuracy", "better": "higher", "floor": 0.95, "allowed_loss": 0.01}
    document["verification"]["quality"] = quality
    document["limits"] |= {"scale_out_seconds": 120, "scale_in_seconds": 120}  # a machine may be busy
    env = Environment.model_validate(document)
    command = shlex.join([sys.executable, str(SERVER)])
    with (
        local_aws.start(
            instances="process", process_command=command, time_scale=120, cpu_scale=0.1
        ) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in running.environ.items():
            patch.setenv(name, value)
        patch.chdir(ROOT)
        run = Run.for_environment(env, folder / "build")
        bootstrap(run)
        release = publish(run, engine=False)
        deploy(release, run)
        yield Live(run, release, folder / "trouble", running)


@pytest.fixture(autouse=True)
def no_trouble(live: Live) -> Iterator[None]:
    yield
    live.trouble.unlink(missing_ok=True)


def by_name(gates: tuple[Gate, ...]) -> dict[str, Verdict]:
    return {gate.name: gate.verdict for gate in gates}


def test_a_sound_release_passes_every_gate_and_the_evidence_is_kept(
    live: Live, said: Callable[[], list[str]]
) -> None:
    evidence = live.verify()

    assert set(by_name(evidence.gates).values()) == {Verdict.PASSED}, said()
    assert len(evidence.gates) == 10
    assert by_name(evidence.gates)["quality"] is Verdict.PASSED, "by the floor: no environment follows"
    assert evidence == live.stored()
    assert json.loads((live.run.build / "staging" / "evidence.json").read_text()) == evidence.document()
    assert evidence.capacity is not None
    assert (
        json.loads((live.run.build / "staging" / "capacity.json").read_text()) == evidence.capacity.document()
    )
    assert all((live.run.build / path).is_file() for path in evidence.load)
    assert live.run.aws.describe_endpoint("verified-capacity") is None, (
        "the measuring endpoint is left behind"
    )


def test_what_passed_is_not_measured_again(live: Live) -> None:
    assert live.stored().verdict is Verdict.PASSED
    writes = len(live.run.aws.made)

    assert live.verify() == live.stored()
    assert len(live.run.aws.made) == writes


def under_steady_load(live: Live) -> dict[str, Verdict]:
    plan = ScalingPlan(steady_rps=50, surge_rps=None, calm_rps=1, reason="")
    result, _ = run_under_load(live.run, live.bench, plan, live.run.build / "load" / "t.json")
    return by_name(judge_steady(result, live.run.env, live.release.id))


def test_an_endpoint_that_has_become_slow_fails_by_its_latency_alone(live: Live) -> None:
    live.trouble.write_text("slow 0.6")

    assert under_steady_load(live) == {
        "latency": Verdict.FAILED, "errors": Verdict.PASSED, "release": Verdict.PASSED
    }  # fmt: skip


def test_an_endpoint_that_has_become_flaky_fails_by_its_errors_alone(live: Live) -> None:
    live.trouble.write_text("flaky 20")

    assert under_steady_load(live) == {
        "latency": Verdict.PASSED, "errors": Verdict.FAILED, "release": Verdict.PASSED
    }  # fmt: skip


def test_a_fleet_that_does_not_grow_under_load_fails_by_its_scale_out_alone(live: Live) -> None:
    """No policy of this endpoint acts at this rate: to the gate that is a policy that does not work."""
    env = live.run.env.model_copy(
        update={"limits": live.run.env.limits.model_copy(update={"scale_out_seconds": 2.0})}
    )
    run = replace(live.run, env=env)
    assert wait_for_rest(run, 2)
    plan = ScalingPlan(steady_rps=45, surge_rps=6, calm_rps=1, reason="")
    result, samples = run_under_load(run, live.bench, plan, run.build / "load" / "s.json")
    scaling = scaling_run(result, samples, 2)

    assert by_name(judge_scaling(scaling, ScalingLimits(2.0, 60.0))) == {
        "scale out": Verdict.FAILED, "scale in": Verdict.INCONCLUSIVE, "flapping": Verdict.INCONCLUSIVE,
        "lost while scaling": Verdict.PASSED,
    }  # fmt: skip


def test_wrong_predictions_fail_the_smoke_tests_and_nothing_more_is_measured(
    live: Live, tmp_path: Path
) -> None:
    cases = list(golden.read(fetch_golden(live.release, live.run)))
    answer = json.loads(cases[3].expected.body or b"")
    answer["predictions"][0]["label"] = (answer["predictions"][0]["label"] + 1) % 10
    wrong = replace(cases[3].expected, body=json.dumps(answer).encode())
    golden.write([*cases[:3], replace(cases[3], expected=wrong), *cases[4:]], tmp_path / golden.FILE)
    record = store_file(str(tmp_path / golden.FILE), live.run.aws)
    judged_otherwise = replace(live, release=live.release.model_copy(update={"golden": record}))

    with pytest.raises(
        GateFailed, match=r"smoke: .*golden case 3: \$\.predictions\[0\]\.label is \d, not \d"
    ):
        judged_otherwise.verify(again=True)

    assert live.stored().verdict is Verdict.FAILED
    verdicts = by_name(live.stored().gates)
    assert verdicts.pop("smoke") is Verdict.FAILED
    assert verdicts.pop("quality") is Verdict.PASSED, "it is known without a request"
    assert set(verdicts.values()) == {Verdict.INCONCLUSIVE}


def test_a_load_test_in_a_shape_is_judged_and_leaves_its_evidence(live: Live) -> None:
    options = LoadTestOptions(shape="ramp", minutes=0.2, times_rate=0.6, workers=2)
    evidence = run_load_test(options, live.run)

    assert by_name(evidence.gates) == {
        "latency under ramp": Verdict.PASSED, "errors under ramp": Verdict.PASSED
    }  # fmt: skip
    kept = json.loads((live.run.build / "staging" / "load-test-evidence.json").read_text())
    assert kept == evidence.document()
    result = json.loads((live.run.build / kept["load"][0]).read_text())
    assert [phase["name"] for phase in result["phases"]] == ["rise", "hold", "fall"]


@pytest.mark.matrix(only_in_prove=True)
def test_two_generators_share_a_load_that_is_judged_when_they_are_joined(live: Live, tmp_path: Path) -> None:
    """Each on a machine of its own, as far as it can tell; what they have in common is when they begin."""
    options = LoadTestOptions(shape="ramp", minutes=0.2, times_rate=0.6, share=2, at=time.time() + 1)

    def offer(folder: Path) -> GeneratorResult:
        return offer_share(options, replace(live.run, build=folder))

    with ThreadPoolExecutor() as machines:
        parts = list(machines.map(offer, [tmp_path / "one", tmp_path / "two"]))
    evidence = judge_joined(tmp_path, "ramp", live.run)

    joined = LoadResult.model_validate_json((live.run.build / evidence.load[0]).read_text())
    assert evidence.verdict is Verdict.PASSED
    assert sum(phase.requests for phase in joined.phases) == sum(part.requests for part in parts)
    assert joined.phases[1].offered_rps == pytest.approx(60)
    with pytest.raises(LoadTestBroken, match=r"There is no shape-spike\.json"):
        judge_joined(tmp_path, "spike", live.run)


def test_a_shape_that_is_not_there_is_an_error_that_names_those_that_are(live: Live) -> None:
    with pytest.raises(ConfigError, match="use one of ramp, replay, soak, spike, steps"):
        run_load_test(LoadTestOptions(shape="zigzag"), live.run)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("fault", "failed", "out_seconds"),
    [
        ({"kind": "slow", "amount": 600}, "latency", 120.0),
        ({"kind": "errors", "amount": 20}, "errors", 120.0),
        ({"kind": "no-capacity"}, "scale out", 15.0),
    ],
    ids=["slow", "flaky", "unable to scale"],
)
def test_a_fault_of_the_fleet_is_failed_by_the_gate_that_is_there_for_it(
    live: Live, fault: dict[str, Any], failed: str, out_seconds: float
) -> None:
    """A policy is in force, the load rises over its target and falls again; only the fault is wrong."""
    limits = live.run.env.limits.model_copy(update={"scale_out_seconds": out_seconds})
    env = live.run.env.model_copy(update={"limits": limits})
    run = replace(live.run, env=env)
    autoscale(run, MeasuredCapacity(CAPACITY))
    assert wait_for_rest(run, 2)
    plan = plan_scaling(capacity_rps=CAPACITY, target_rps=CAPACITY / 2, instances=2, maximum=4)
    out = live.run.build / "load" / "fault.json"
    with live.running.fault(**fault, endpoint="verified"):
        result, samples = run_under_load(run, live.bench, plan, out)

    gates = judge_scaling(scaling_run(result, samples, 2), ScalingLimits(out_seconds, 120.0))
    every = (*judge_steady(result, env, live.release.id), *gates)
    found = {gate.name for gate in every if gate.verdict is Verdict.FAILED}
    assert failed in found, [f"{gate.name}: {gate.reason}" for gate in every]
    assert found <= {failed, "lost while scaling"}, [f"{gate.name}: {gate.reason}" for gate in every]
    assert "lost while scaling" not in found or failed == "errors", "what is lost was answered with an error"


LEAVING = """
import sys
def only_this_machine(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in ("127.0.0.1", "::1"):
        print("LEFT FOR", args[1]); sys.stdout.flush(); __import__("os")._exit(99)
sys.addaudithook(only_this_machine)
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_the_smoke_tests_find_the_golden_set_by_themselves_and_talk_to_no_other_machine(live: Live) -> None:
    """boto3 and the SageMaker SDK both keep to AWS_ENDPOINT_URL."""
    words = ["smoke_tests", "-p", "no:cacheprovider", "-q", "--endpoint", "verified"]
    answer = subprocess.run(
        [sys.executable, "-c", LEAVING, *words], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert answer.returncode == 0, answer.stdout
    assert re.search(r"^\d\d passed", answer.stdout, re.MULTILINE), answer.stdout  # nothing skipped


def test_the_measuring_endpoint_is_deleted_when_measuring_breaks_off(live: Live) -> None:
    def break_off() -> None:
        with capacity_endpoint(live.release, live.run) as endpoint:
            described = live.run.aws.describe_endpoint(endpoint)
            assert described is not None
            assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()

    gone = live.run.aws.describe_endpoint("verified-capacity")
    assert gone is None or gone["EndpointStatus"] == "Deleting"
    create_config, _ = plan_capacity_endpoint(live.release, live.run.env)
    config = create_config.params["EndpointConfigName"]
    assert live.run.aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) is None


def test_each_way_to_fail_has_an_exit_code_of_its_own() -> None:
    assert len({GateFailed.exit_code, VerificationInconclusive.exit_code, 0, 1}) == 4
