"""Two endpoints under the same load at the same time: the same release twice, and one made slow."""

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import override

import local_aws
from local_aws.instances.cgroup import usable_parent
from local_aws.start import Running
from pipeline.account.bootstrap import bootstrap
from pipeline.aws import AwsClient
from pipeline.config import Environment
from pipeline.deployment.deploy import deploy
from pipeline.deployment.plan import config_name, model_parameters
from pipeline.gates import Verdict
from pipeline.publishing.publish import publish
from pipeline.release import Release
from pipeline.release_store.golden import fetch_golden
from pipeline.run import Run
from pipeline.verification.capacity_endpoint import capacity_endpoint
from pipeline.verification.comparison import Baseline, baseline_endpoint, compare_endpoints, find_baseline
from pipeline.verification.measure import Bench
from pipeline.verification.regression import Regression

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("troubled_server.py")
RATE = 30.0  # to each: a third of what an instance here can do
RUNS = 20


@dataclass
class Pair:
    """One release on two endpoints of one instance each; `aws` has the faults."""

    aws: Running
    candidate: str
    against: str
    baseline: Baseline
    env: Environment
    bench: Bench

    def compared(self) -> Regression:
        found, files = compare_endpoints(
            self.candidate, self.against, self.baseline, self.env, self.bench, RATE
        )
        assert len(files) == found.looks
        return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if usable_parent("comparison") is None:
        pytest.skip(
            "no control group can be made here: instances are throttled too coarsely to compare latencies"
        )
    folder = tmp_path_factory.mktemp("compare")
    document: dict[str, Any] = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())
    document["endpoint"] |= {"name": "compared", "environment": {"TROUBLE": str(folder / "trouble")}}
    document["load"]["quick"] |= {"compare_seconds": 12, "slower_percent": None}  # as of a full measurement
    env = Environment.model_validate(document)
    command = shlex.join([sys.executable, str(SERVER)])
    with (
        local_aws.start(instances="process", process_command=command, time_scale=120, cpu_scale=0.1) as aws,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in aws.environ.items():
            patch.setenv(name, value)
        patch.chdir(ROOT)
        run = Run.for_environment(env, folder / "build")
        bootstrap(run)
        release = publish(run, engine=False)
        deploy(release, run)
        bench = Bench(folder / "load", fetch_golden(release, run), env.load.quick)
        baseline = Baseline(release.id, model_parameters(release, env)["ModelName"], "itself")
        with (
            capacity_endpoint(release, run) as candidate,
            baseline_endpoint(release, run, baseline) as against,
        ):
            yield Pair(aws, candidate, against, baseline, env, bench)
        left = run.aws.describe_endpoint(against)
        assert left is None or left["EndpointStatus"] == "Deleting", "the baseline's endpoint is left behind"


@pytest.mark.measures
@pytest.mark.starts_processes
@pytest.mark.matrix
@pytest.mark.parametrize("number", range(RUNS))
def test_a_release_compared_with_itself_is_not_called_slower(
    pair: Pair, number: int, record_property: Callable[[str, object], None]
) -> None:
    """An A/A run; `make prove` counts how often the verdict is a false alarm."""
    found = pair.compared()
    record_property("a_a_verdict", found.verdict.value)

    assert found.verdict is not Verdict.FAILED, found.reason
    assert all(each.slices > 0 for each in found.differences)


@pytest.mark.measures
@pytest.mark.starts_processes
def test_a_candidate_made_slow_is_failed_by_this_gate(pair: Pair) -> None:
    with pair.aws.fault("slow", endpoint=pair.candidate, amount=60):
        found = pair.compared()

    assert found.verdict is Verdict.FAILED, found.reason
    assert "slower than the release before it" in found.reason


@dataclass
class FakeClient(AwsClient):
    """Knows the endpoint config that the next environment serves, and nothing else."""

    config: str | None = None

    @override
    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        return None if self.config is None else {"EndpointConfigName": self.config}

    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        assert (service, operation) == ("sagemaker", "describe_endpoint_config")
        assert params == {"EndpointConfigName": self.config}
        return {"ProductionVariants": [{"ModelName": "the-model"}]}


MakeEnv = Callable[..., Environment]


def beside(env: Environment, config: str | None) -> Run:
    """Return a run in `env` while the next environment serves this endpoint config."""
    return Run(env, FakeClient(env.aws, config=config), Path("build"))


def production(make_env: MakeEnv, **changes: Any) -> Environment:
    return make_env(name="production", promotes_from="staging", endpoint={"name": "prod"}, **changes)


def test_the_baseline_is_what_the_next_environment_serves(
    make_env: MakeEnv, make_test_release: Callable[..., Release]
) -> None:
    env, following, old = make_env(), production(make_env), make_test_release("b")
    found = find_baseline(make_test_release("a"), beside(env, config_name(old, following)), following)

    assert found == Baseline(old.id, "the-model", "production")


@pytest.mark.parametrize(
    ("live", "elsewhere", "reason"),
    [
        (None, {}, "serves nothing yet"),
        ("by-hand", {}, "has not made"),
        ("itself", {}, "serves this release already"),
        ("itself", {"aws": {"account_id": "999999999999"}}, "another account"),
    ],
)
def test_without_a_baseline_it_says_why(
    make_env: MakeEnv, release: Release, live: str | None, elsewhere: dict[str, Any], reason: str
) -> None:
    env, following = make_env(), production(make_env, **elsewhere)
    config = config_name(release, following) if live == "itself" else live
    found = find_baseline(release, beside(env, config), following)

    assert isinstance(found, str)
    assert reason in found
    assert "comes after" in str(find_baseline(release, beside(env, None), None))
