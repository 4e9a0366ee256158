"""The workflows, run on this machine; the assertions read AWS afterwards, not only the logs."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import golden
import local_aws
from local_aws.testing.github_issuer import GithubIssuer
from pipeline.account.bootstrap_github import GithubAccess, GithubRepository, bootstrap_github
from pipeline.config import load_environment
from pipeline.run import Run
from tests.github_api import GithubServer, ready
from tests.rehearsal.clients import Clients
from tests.workflows.act import REPOSITORY, ROOT, Act, RunResult, clone
from tests.workflows.sandbox import BUCKET, QUICK_PROFILE, Sandbox

MODEL = Path("container/local_test/opt/ml/model")
pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(1700),
    pytest.mark.starts_processes,
]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    settings = ready("123456789012", "eu-west-1", "digits")
    with GithubIssuer() as issuer, GithubServer(settings) as github:
        started = local_aws.start(instances="docker", strict_auth=1, oidc_issuers=issuer.setting)
        with started as aws:
            for name, value in aws.environ.items():
                monkeypatch.setenv(name, value)
            envs = [load_environment(name, ROOT / "config") for name in ("staging", "production")]
            access = GithubAccess(GithubRepository.parse(REPOSITORY, "12/345"))
            bootstrap_github(access, envs, Run.for_environment(envs[0], tmp_path))
            sandbox = Sandbox(Act(clone(tmp_path / "clone"), aws, issuer, github, tmp_path), aws)
            sandbox.attest_known_images()
            yield sandbox
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def with_a_latency_that_no_endpoint_keeps(text: str) -> str:
    """Let the smoke tests fail: a wrong golden answer would end the container's start before them."""
    found = re.sub(r"(?<!\w)p99_ms: \d+", "p99_ms: 1", text, count=1)
    assert found != text
    return found


def with_low_maximum_rate(text: str) -> str:
    """Limit the capacity search to a rate that the generator can offer on a shared machine."""
    found = text.replace("maximum_rps: 1600", "maximum_rps: 82")
    assert found != text
    return found


def assert_succeeded(result: RunResult, jobs: int) -> None:
    """Assert that so many jobs ran, and none failed; a job whose condition is false does not run."""
    assert result.exit_code == 0, result.output[-6000:]
    ran = {name: ended for name, ended in result.jobs.items() if ended != "skipped"}
    assert list(ran.values()) == ["success"] * jobs, result.jobs


def test_a_failing_smoke_stops_before_production(sandbox: Sandbox) -> None:
    sandbox.commit(Path("config/staging.yaml"), with_a_latency_that_no_endpoint_keeps)
    sandbox.commit(Path("container/src/notes.txt"), lambda _: f"an image of its own: {uuid4()}\n")
    result = sandbox.push()
    release = sandbox.published()["id"]

    assert result.exit_code != 0
    assert not [name for name in result.jobs if "production" in name or "approve" in name], result.jobs
    assert sandbox.evidence(release)["verdict"] == "failed", result.output[-6000:]
    assert sandbox.live("staging") == release
    assert sandbox.live("production") is None
    digest = sandbox.published()["image"]["digest"]
    attested = [line for line in sandbox.attested() if f"@{digest} " in line]
    assert [line.rpartition("/")[2].split()[-1] for line in attested] == ["provenance", "sbom.spdx.json"]
    assert digest in digests(sandbox)


def test_a_variable_that_is_not_set_fails_before_anything_is_done(sandbox: Sandbox) -> None:
    result = sandbox.act.run("push", "release.yml", variables={"AWS_ROLE_ARN": ""})

    assert result.exit_code != 0
    assert result.jobs == {"release/ci of this commit": "success", "publish/publish/publish": "failure"}
    assert f"gh variable set AWS_ROLE_ARN --repo {REPOSITORY} --env staging" in result.output
    assert "Contents" not in sandbox.aws.client("s3").list_objects_v2(Bucket=BUCKET)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.measures
def test_the_weekly_rebuild_is_a_new_image_that_is_verified_in_staging_and_waits(sandbox: Sandbox) -> None:
    """It waits for a person here, since nobody reviews on GitHub."""
    sandbox.commit(Path("config/staging.yaml"), with_low_maximum_rate)
    known = digests(sandbox)
    by_hand = {**QUICK_PROFILE, "PROMOTION": "by-hand"}
    assert_succeeded(sandbox.act.run("schedule", "rebuild.yml", variables=by_hand, seconds=1500), jobs=4)
    release = sandbox.published()

    assert digests(sandbox) - known == {release["image"]["digest"]}, "built anew, from the same files"
    assert any(release["image"]["digest"] in line for line in sandbox.attested())
    assert sandbox.evidence(release["id"])["verdict"] == "passed"
    assert (sandbox.live("staging"), sandbox.live("production")) == (release["id"], None)
    tagged = [word for words in sandbox.gh_calls() for word in words if word.startswith("ref=")]
    assert tagged == [f"ref=refs/tags/release-{release['id']}"]
    assert github_releases(sandbox) == []


def digests(sandbox: Sandbox) -> set[str]:
    """Return the digests of all images in the registry."""
    images = sandbox.aws.client("ecr").describe_images(repositoryName="digits")["imageDetails"]
    return {each["imageDigest"] for each in images}


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.measures
def test_from_a_push_to_production_and_all_that_is_done_by_hand(sandbox: Sandbox) -> None:
    """One test, since each part needs the state of AWS after the part before."""
    first = push_delivers_a_release_to_production(sandbox)
    without_drift_no_issue_is_opened(sandbox)
    pushing_again_changes_nothing(sandbox, first)
    second = failing_canary_leaves_production_on(first, sandbox)
    vulnerable_image_is_not_promoted(sandbox, second, live=first)
    promotion_and_rollback_by_hand(sandbox, second, before=first)
    load_test_by_two_generators_is_joined(sandbox)
    drift_opens_an_issue(sandbox)
    training_job_completes(sandbox)
    destroying_needs_the_name_as_confirmation(sandbox, staging=second, production=first)


def push_delivers_a_release_to_production(sandbox: Sandbox) -> str:
    """Return the release."""
    sandbox.commit(Path("config/staging.yaml"), with_low_maximum_rate)
    assert_succeeded(sandbox.push(), jobs=9)
    release: str = sandbox.published()["id"]

    assert {sandbox.live("staging"), sandbox.live("production")} == {release}
    assert sandbox.evidence(release)["verdict"] == "passed"
    autoscaling = sandbox.aws.client("application-autoscaling")
    policies = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    scaled = {each["ResourceId"].split("/")[1] for each in policies}
    assert scaled == {"digits-staging", "digits-production"}
    tag = f"release-{release}"
    assert github_releases(sandbox) == [["create", tag], ["edit", tag]]
    assert attached(sandbox, tag) == [
        "release.json",
        "sbom.spdx.json",
        "evidence-staging.json",
        "report.html",
    ]
    assert [words[-3] for words in sandbox.gh_calls() if "POST" in words] == [f"ref=refs/tags/{tag}"]
    return release


def github_releases(sandbox: Sandbox) -> list[list[str]]:
    """Return verb and tag of every call that made or published a release on GitHub."""
    calls = [words for words in sandbox.gh_calls() if words[0] == "release" and words[1] != "view"]
    return [words[1:3] for words in calls]


def attached(sandbox: Sandbox, tag: str) -> list[str]:
    """Return the names of the files of a release on GitHub."""
    (made,) = [words for words in sandbox.gh_calls() if words[:3] == ["release", "create", tag]]
    return [Path(word).name for word in made if word.startswith("build/")]


def without_drift_no_issue_is_opened(sandbox: Sandbox) -> None:
    assert_succeeded(sandbox.dispatch("drift.yml"), jobs=2)

    assert ["issue", "create"] not in [words[:2] for words in sandbox.gh_calls()]


def pushing_again_changes_nothing(sandbox: Sandbox, release: str) -> None:
    """Every job's commands run once more, as when each job is run again."""
    configs = [sandbox.endpoint(name)["EndpointConfigName"] for name in ("staging", "production")]
    attested = sandbox.attested()
    assert_succeeded(sandbox.push(), jobs=9)

    assert [sandbox.endpoint(name)["EndpointConfigName"] for name in ("staging", "production")] == configs
    assert sandbox.published()["id"] == release
    assert sandbox.attested() == attested, "another run has built it"


def failing_canary_leaves_production_on(first: str, sandbox: Sandbox) -> str:
    """Push a second release whose canary fails in production; return it."""
    sandbox.commit(MODEL / "notes.txt", lambda _: "other weights, another release\n")
    runtime = sandbox.aws.client("sagemaker-runtime")
    golden_set = golden.read_folder(ROOT / MODEL)
    assert golden_set is not None
    with (
        Clients(runtime, "digits-production", golden_set),
        sandbox.aws.fault("errors", amount=100, endpoint="digits-production", fleet="new"),
    ):
        rejected = sandbox.push()
    second: str = sandbox.published()["id"]

    assert rejected.exit_code != 0
    assert rejected.jobs["production/deploy/promote to production"] == "failure"
    assert rejected.jobs["production/deploy/status of production"] == "success"
    assert not [name for name, end in rejected.jobs.items() if "GitHub release" in name and end != "skipped"]
    assert second != first
    assert (sandbox.live("staging"), sandbox.live("production")) == (second, first)
    return second


def vulnerable_image_is_not_promoted(sandbox: Sandbox, release: str, live: str) -> None:
    with sandbox.aws.fault("finding", vulnerability="CVE-2026-1", severity="CRITICAL"):
        refused = sandbox.dispatch("promote.yml", release=release, environment="production", reason="again")

    assert refused.exit_code != 0
    assert "has found CVE-2026-1 (CRITICAL" in refused.output
    assert sandbox.live("production") == live


def promotion_and_rollback_by_hand(sandbox: Sandbox, release: str, before: str) -> None:
    promoted = sandbox.dispatch("promote.yml", release=release, environment="production", reason="mended")
    assert_succeeded(promoted, jobs=5)
    tag = f"release-{release}"
    assert github_releases(sandbox)[-2:] == [["create", tag], ["edit", tag]]
    assert attached(sandbox, tag)[:3] == ["release.json", "sbom.spdx.json", "evidence-staging.json"]
    assert sandbox.live("production") == release
    assert sandbox.traffic_type("production") == "CANARY"

    rollback = {"environment": "production", "reason": "too slow", "strategy": "all-at-once"}
    assert_succeeded(sandbox.dispatch("rollback.yml", **rollback), jobs=3)
    assert sandbox.live("production") == before
    assert sandbox.traffic_type("production") == "ALL_AT_ONCE"


def load_test_by_two_generators_is_joined(sandbox: Sandbox) -> None:
    inputs = {"environment": "staging", "shape": "ramp", "minutes": "0.4", "workers": "2"}
    lead = {"LOAD_TEST_LEAD": "40 seconds"}
    assert_succeeded(
        sandbox.act.run("workflow_dispatch", "load-test.yml", inputs=inputs, variables=lead), jobs=5
    )
    artifacts = sandbox.act.artifacts
    parts = [requests_in(artifacts / f"generator-{n}" / "shape-ramp.json") for n in (1, 2)]
    joined = artifacts / "load" / "load"

    assert requests_in(joined / "shape-ramp.json") == sum(parts)
    assert min(parts) > 0
    assert (joined / "report.html").stat().st_size > 10_000


def requests_in(result: Path) -> int:
    return sum(int(phase["requests"]) for phase in json.loads(result.read_text())["phases"])


def drift_opens_an_issue(sandbox: Sandbox) -> None:
    sandbox.aws.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker", ResourceId="endpoint/digits-staging/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount", MinCapacity=3, MaxCapacity=4,
    )  # fmt: skip
    assert_succeeded(sandbox.dispatch("drift.yml"), jobs=2)

    assert sandbox.gh_calls()[-1][:2] == ["issue", "create"]
    assert "**staging** min instances: live 3, config 2" in str(sandbox.gh_calls()[-1])


def training_job_completes(sandbox: Sandbox) -> None:
    assert_succeeded(sandbox.dispatch("train.yml", reason="a job of its own"), jobs=1)

    jobs = sandbox.aws.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert [each["TrainingJobStatus"] for each in jobs] == ["Completed"]


def destroying_needs_the_name_as_confirmation(sandbox: Sandbox, staging: str, production: str) -> None:
    unconfirmed = sandbox.dispatch("destroy.yml", environment="staging", confirm="production")
    assert unconfirmed.exit_code != 0
    assert sandbox.live("staging") == staging

    assert_succeeded(sandbox.dispatch("destroy.yml", environment="staging", confirm="staging"), jobs=2)
    assert (sandbox.live("staging"), sandbox.live("production")) == (None, production)
