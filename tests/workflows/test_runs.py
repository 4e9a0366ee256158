"""The workflows, run: what AWS has afterwards is what counts, not what a log says."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import local_aws
from local_aws.testing.github_issuer import GithubIssuer
from pipeline.account.bootstrap_github import Admission, GithubRepository, bootstrap_github
from pipeline.aws import Aws
from pipeline.config import load_environment
from pipeline.names import release_of
from tests.rehearsal.clients import Clients
from tests.workflows.act import REPOSITORY, ROOT, Act, Ended, clone

BUCKET = "digits-releases-123456789012"
MODEL = Path("container/local_test/opt/ml/model")
QUICKLY = {"VERIFY_PROFILE": "quick"}
pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(1700),
    pytest.mark.starts_processes,
]


@dataclass(frozen=True)
class World:
    """A repository on GitHub and an account on AWS that `bootstrap` has made ready for it."""

    act: Act
    aws: local_aws.Running

    def live(self, environment: str) -> str | None:
        """The release that an environment serves; None without an endpoint that is InService."""
        endpoints = self.aws.client("sagemaker").list_endpoints()["Endpoints"]
        if f"digits-{environment}" not in {each["EndpointName"] for each in endpoints}:
            return None
        found = self.aws.client("sagemaker").describe_endpoint(EndpointName=f"digits-{environment}")
        assert found["EndpointStatus"] == "InService"
        return release_of(found["EndpointConfigName"])

    def published(self) -> dict[str, Any]:
        """The manifest that the last run handed from job to job."""
        manifest: dict[str, Any] = json.loads((self.act.artifacts / "release" / "release.json").read_text())
        return manifest

    def evidence(self, release: str) -> dict[str, Any]:
        key = f"evidence/{release}/staging.json"
        body = self.aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found

    def asked(self) -> list[list[str]]:
        """What the workflows asked of `gh`, so far."""
        return [json.loads(line) for line in (self.act.scratch / "gh.jsonl").read_text().splitlines()]

    def change(self, path: Path, edit: Callable[[str], str]) -> None:
        """Commit an edit of one file, as a developer would have pushed it."""
        file = self.act.checkout / path
        file.write_text(edit(file.read_text() if file.is_file() else ""))
        who = ["-c", "user.name=dev", "-c", "user.email=dev@example.com"]
        for words in (["add", str(path)], ["commit", "--quiet", "-m", "A change"]):
            subprocess.run(["git", "-C", str(self.act.checkout), *who, *words], check=True)

    def push(self) -> Ended:
        return self.act.run("push", "release.yml", variables=QUICKLY)

    def dispatch(self, workflow: str, **inputs: str) -> Ended:
        return self.act.run("workflow_dispatch", workflow, inputs=inputs)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with GithubIssuer() as issuer:
        started = local_aws.start(instances="docker", strict_auth=1, oidc_issuers=issuer.setting)
        with started as aws:
            for name, value in aws.environ.items():
                monkeypatch.setenv(name, value)
            envs = [load_environment(name, ROOT / "config") for name in ("staging", "production")]
            admission = Admission(GithubRepository.parse(REPOSITORY, "12/345"))
            bootstrap_github(admission, envs, Aws(envs[0]), lambda _: None)
            yield World(Act(clone(tmp_path / "clone"), aws, issuer, tmp_path), aws)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def wrong_golden(text: str) -> str:
    """Expect another digit of one input: what is deployed answers, and answers otherwise."""
    golden = json.loads(text)
    case = golden["cases"][5]["prediction"]
    case["label"] = (case["label"] + 1) % 10
    return json.dumps(golden)


def gently(text: str) -> str:
    """Measure capacity up to a rate that the generator can offer on a machine that others use, too."""
    found = text.replace("maximum_rps: 1600", "maximum_rps: 82")
    assert found != text
    return found


def green(ended: Ended, jobs: int) -> None:
    assert ended.exit_code == 0, ended.output[-6000:]
    assert list(ended.jobs.values()) == ["success"] * jobs, ended.jobs


def test_a_failing_smoke_stops_before_production(world: World) -> None:
    world.change(MODEL / "golden.json", wrong_golden)
    ended = world.push()
    release = world.published()["id"]

    assert ended.exit_code != 0
    assert set(ended.jobs) == {"release/publish", "staging/deploy/deploy to staging"}, ended.jobs
    assert world.evidence(release)["verdict"] == "failed", ended.output[-6000:]
    assert world.live("staging") == release
    assert world.live("production") is None
    assert (
        f"@{world.published()['image']['digest']} provenance" in (world.act.scratch / "attested").read_text()
    )
    tags = world.aws.client("ecr").describe_images(repositoryName="digits")["imageDetails"]
    assert world.published()["image"]["digest"] in {each["imageDigest"] for each in tags}


def test_a_variable_that_is_not_set_fails_before_anything_is_done(world: World) -> None:
    ended = world.act.run("push", "release.yml", variables={"AWS_ROLE_ARN": ""})

    assert ended.exit_code != 0
    assert list(ended.jobs.values()) == ["failure"]
    assert f"gh variable set AWS_ROLE_ARN --repo {REPOSITORY} --env staging" in ended.output
    assert "Contents" not in world.aws.client("s3").list_objects_v2(Bucket=BUCKET)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.measures
def test_from_a_push_to_production_and_all_that_is_done_by_hand(world: World) -> None:
    """One story, since each chapter stands on what AWS has after the one before."""
    world.change(Path("config/staging.yaml"), gently)
    green(world.push(), jobs=4)
    first = world.published()["id"]
    assert {world.live("staging"), world.live("production")} == {first}
    assert world.evidence(first)["verdict"] == "passed"
    policies = world.aws.client("application-autoscaling").describe_scaling_policies(
        ServiceNamespace="sagemaker"
    )
    assert {each["ResourceId"].split("/")[1] for each in policies["ScalingPolicies"]} == {
        "digits-staging", "digits-production",
    }  # fmt: skip
    assert world.asked()[-1][:3] == ["release", "create", f"release-{first}"]

    green(world.dispatch("drift.yml"), jobs=2)
    assert ["issue", "create"] not in [words[:2] for words in world.asked()]

    configs = {name: config_of(world, name) for name in ("staging", "production")}
    green(world.push(), jobs=4)  # every job's commands once more, as a re-run of each would
    assert {name: config_of(world, name) for name in configs} == configs
    assert world.published()["id"] == first

    world.change(MODEL / "notes.txt", lambda _: "other weights, another release\n")
    runtime = world.aws.client("sagemaker-runtime")
    golden = json.loads((ROOT / MODEL / "golden.json").read_text())
    with (
        Clients(runtime, "digits-production", golden),
        world.aws.fault("errors", amount=100, endpoint="digits-production", fleet="new"),
    ):
        rejected = world.push()
    second = world.published()["id"]
    assert rejected.exit_code != 0
    assert rejected.jobs["production/deploy/promote to production"] == "failure"
    assert "release/tag and GitHub release" not in rejected.jobs
    assert (second != first, world.live("staging"), world.live("production")) == (True, second, first)

    with world.aws.fault("finding", vulnerability="CVE-2026-1", severity="CRITICAL"):
        vulnerable = world.dispatch("promote.yml", release=second, environment="production", reason="again")
    assert vulnerable.exit_code != 0
    assert "has found CVE-2026-1 (CRITICAL" in vulnerable.output
    assert world.live("production") == first

    green(world.dispatch("promote.yml", release=second, environment="production", reason="mended"), jobs=1)
    assert world.live("production") == second
    assert strategy_in(world, "production") == "CANARY"
    quickly = {"environment": "production", "reason": "too slow", "strategy": "all-at-once"}
    green(world.dispatch("rollback.yml", **quickly), jobs=1)
    assert world.live("production") == first
    assert strategy_in(world, "production") == "ALL_AT_ONCE"
    load = {"environment": "staging", "shape": "ramp", "minutes": "0.4", "workers": "2"}
    soon = {"LOAD_TEST_LEAD": "40 seconds"}
    green(world.act.run("workflow_dispatch", "load-test.yml", inputs=load, variables=soon), jobs=4)
    parts = [requests_in(world.act.artifacts / f"generator-{n}" / "shape-ramp.json") for n in (1, 2)]
    kept = world.act.artifacts / "load" / "load"
    assert requests_in(kept / "shape-ramp.json") == sum(parts)
    assert min(parts) > 0
    assert (kept / "report.html").stat().st_size > 10_000

    world.aws.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker", ResourceId="endpoint/digits-staging/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount", MinCapacity=3, MaxCapacity=4,
    )  # fmt: skip
    green(world.dispatch("drift.yml"), jobs=2)
    assert world.asked()[-1][:2] == ["issue", "create"]
    assert "**staging** min instances: live 3, config 2" in str(world.asked()[-1])

    green(world.dispatch("train.yml", reason="a job of its own"), jobs=1)
    jobs = world.aws.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert [each["TrainingJobStatus"] for each in jobs] == ["Completed"]

    assert world.dispatch("destroy.yml", environment="staging", confirm="production").exit_code != 0
    assert world.live("staging") == second
    green(world.dispatch("destroy.yml", environment="staging", confirm="staging"), jobs=1)
    assert (world.live("staging"), world.live("production")) == (None, first)


def config_of(world: World, environment: str) -> str:
    found = world.aws.client("sagemaker").describe_endpoint(EndpointName=f"digits-{environment}")
    return str(found["EndpointConfigName"])


def requests_in(result: Path) -> int:
    return sum(int(phase["requests"]) for phase in json.loads(result.read_text())["phases"])


def strategy_in(world: World, environment: str) -> str:
    found = world.aws.client("sagemaker").describe_endpoint(EndpointName=f"digits-{environment}")
    traffic = found["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    return str(traffic["Type"])
