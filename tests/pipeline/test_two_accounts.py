"""Production in another account and Region: it serves copies, made by its own role, and each side stays its own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.account.collect import collect
from pipeline.account.destroy import destroy
from pipeline.aws.s3_objects import object_at
from pipeline.config import environments, load_environment
from pipeline.config.promotion import AfterPromotion
from pipeline.deployment.deploy import deploy
from pipeline.errors import AwsRefused, PromotionRefused, ReleaseError, WrongAccount
from pipeline.preflight.preflight import PreflightSnapshot, inspect
from pipeline.promotion.after_promotion import after_promotion
from pipeline.promotion.promote import promote
from pipeline.promotion.replicate import ReplicateResult, replicate
from pipeline.promotion.status import environment_status
from pipeline.publishing.model_registry import package_of
from pipeline.release import Release
from pipeline.release_store.manifests import published_release
from pipeline.run import Run
from pipeline.verification.stored_evidence import find_evidence
from tests.pipeline.deploy_jobs import Account
from tests.pipeline.scene import ROOT, endpoint_of, published, wait_for
from tests.pipeline.steps import keep_evidence, smoke
from tests.pipeline.two_accounts import EXAMPLE, administrator_of, example, two_accounts

TO_REPLICATE = {
    "s3:GetObject": "",
    "s3:ListBucket": "head_object: 403",  # the answer to HEAD has no body
    "s3:PutObject": "",
    "sagemaker:CreateModelPackage": "",
}
"""The actions of `replicate` without an engine, in the order in which it first asks for them; other words than IAM's."""


@pytest.mark.parametrize("name", environments(EXAMPLE))
def test_the_example_loads_and_is_the_committed_config_in_another_place(name: str) -> None:
    given = load_environment(name, EXAMPLE).document()
    committed = load_environment(name, ROOT / "config").document()
    first = (EXAMPLE / f"{name}.yaml").read_text().splitlines()[0]

    assert {**given, "aws": 0} == {**committed, "aws": 0}
    assert (EXAMPLE / first.partition("$schema=")[2]).resolve() == ROOT / "config" / "schema.json"


def test_the_example_has_two_accounts_and_two_regions() -> None:
    places = [env.aws for env in example().values()]

    assert len({place.account_id for place in places}) == 2
    assert len({place.region for place in places}) == 2
    assert len({place.bucket for place in places}) == 2


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.chdir(ROOT)
    with two_accounts(tmp_path) as made:
        yield made


def staged(accounts: Account, mark: str) -> Release:
    """Publish a release in staging and have it verified there."""
    with accounts.job("staging") as run:
        release = published(run, accounts.folder / "models", mark)
        keep_evidence(release, run.aws)
    return release


def copied(accounts: Account, release: Release) -> ReplicateResult:
    with accounts.job("production") as run:
        return replicate(release.id, run, accounts.envs["staging"])


def copy_in(run: Run, release: Release) -> Release:
    return published_release(release.id, run.aws)


def model_of(run: Run) -> dict[str, Any]:
    config = run.aws.read(
        "sagemaker", "describe_endpoint_config", EndpointConfigName=endpoint_of(run)["EndpointConfigName"]
    )
    name = config["ProductionVariants"][0]["ModelName"]
    return run.aws.read("sagemaker", "describe_model", ModelName=name)


@pytest.mark.starts_processes
@pytest.mark.timeout(280)
def test_a_release_is_promoted_to_another_account(
    accounts: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both sides as the roles of the templates, with IAM enforced; one test, for each step needs the one before."""
    release = staged(accounts, "one")
    with accounts.job("staging") as run:
        deploy(release, run)
    with accounts.job("production") as run, pytest.raises(PromotionRefused, match="Nobody has verified"):
        promote(release, run, smoke=smoke())
    the_reviewer_sees_the_plan(accounts, release, capsys)
    weights_that_differ_are_not_copied(accounts, release)
    refuses_without_its_policies(accounts, release)

    assert copied(accounts, release).copied == (), "nothing is sent twice"

    with accounts.job("production") as run:
        here = copy_in(run, release)
        assert here.id == release.id
        evidence = find_evidence(release.id, "staging", run)
        assert evidence is not None
        assert evidence.release == release.id
        assert here.weights.uri.startswith(f"s3://{run.env.aws.bucket}/")
        problems = inspect(PreflightSnapshot(here, run)).problems
        assert not {"image", "weights", "execution role", "pass role"} & problems.keys(), problems
        promote(here, run, smoke=smoke())
        arn, data = endpoint_of(run)["EndpointArn"], model_of(run)["PrimaryContainer"]["ModelDataUrl"]
        assert arn == "arn:aws:sagemaker:eu-central-1:210987654321:endpoint/digits-production"
        assert data == here.weights.uri
        package = package_of(release.id, run.aws)
        assert package is not None
        assert package["ModelApprovalStatus"] == "Approved"
        assert environment_status(run).drift == ()

    both_sides_see_both(accounts, release, capsys)
    each_side_is_collected_alone(accounts, release)
    the_environment_before_is_changed_by_its_own_job(accounts, here)
    each_side_is_destroyed_alone(accounts)


def the_reviewer_sees_the_plan(
    accounts: Account, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    """Staging's job plans for production, by the read role there, before anything is copied."""
    capsys.readouterr()
    with accounts.job("staging") as run:
        build = ["--config", str(EXAMPLE), "--build", str(run.build), "--json"]
        assert main(["plan", "--env", "production", *build]) == 0
        assert main(["deploy", "--env", "production", *build]) == WrongAccount.exit_code
    planned = capsys.readouterr().out

    assert f"digits-production-{release.id}" in planned
    assert run.env.aws.bucket not in planned


def both_sides_see_both(accounts: Account, release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` without --env, by the jobs of either account."""
    for name in accounts.envs:
        capsys.readouterr()
        with accounts.job(name) as run:
            assert main(["status", "--config", str(EXAMPLE), "--build", str(run.build), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["environments"]
        live = {each["environment"]: (each["status"], each["release"]) for each in found}

        assert live == dict.fromkeys(accounts.envs, ("InService", release.id))


def each_side_is_collected_alone(accounts: Account, release: Release) -> None:
    for env in accounts.envs.values():
        with administrator_of(env):
            run = accounts.run(env.name)
            collect([env], run, releases=2, days=0, dry_run=False)
            assert copy_in(run, release).id == release.id
            assert environment_status(run).status == "InService"


def weights_that_differ_are_not_copied(accounts: Account, release: Release) -> None:
    s3, here = accounts.cloud.client("s3"), accounts.cloud.client("s3", account="210987654321")
    where = {"Bucket": accounts.envs["staging"].aws.bucket, "Key": object_at(release.weights.uri)["Key"]}
    body = s3.get_object(**where)["Body"].read()
    s3.put_object(**where, Body=b"another content")
    with pytest.raises(ReleaseError, match="differs"):
        copied(accounts, release)
    s3.put_object(**where, Body=body)

    listed = here.list_objects_v2(Bucket=accounts.envs["production"].aws.bucket, Prefix="weights/")
    assert listed["KeyCount"] == 0


def the_environment_before_is_changed_by_its_own_job(accounts: Account, release: Release) -> None:
    """Go on from the manifest of the copy."""
    with accounts.job("staging") as run:
        env = run.env.model_copy(update={"after_promotion": AfterPromotion(action="delete")})
        assert after_promotion(release, replace(run, env=env)).left_because is None
        wait_for(lambda: run.aws.describe_endpoint(env.endpoint.name) is None)


def refuses_without_its_policies(accounts: Account, release: Release) -> None:
    """Either side's policy alone lets nobody read; what was copied before a refusal is not copied again."""
    s3 = accounts.cloud.client("s3")
    bucket = accounts.envs["staging"].aws.bucket
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    with pytest.raises(AwsRefused) as caught:
        copied(accounts, release)
    assert "no resource-based policy allows the s3:GetObject action" in str(caught.value)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    role, place = accounts.roles["production"].rpartition("/")[2], accounts.envs["production"].aws
    for action, refused in TO_REPLICATE.items():
        with accounts.without(role, action, place.account_id), pytest.raises(AwsRefused) as caught:
            copied(accounts, release)
        assert (refused or f"no identity-based policy allows the {action} action") in str(caught.value)
    assert copied(accounts, release).copied == (f"register {release.id} in model group digits",)


def each_side_is_destroyed_alone(accounts: Account) -> None:
    with accounts.job("staging") as run:
        destroy(run, confirmed="staging")
        assert run.aws.describe_endpoint(run.env.endpoint.name) is None
    with accounts.job("production") as run:
        assert environment_status(run).status == "InService"
        assert environment_status(run).drift == ()
