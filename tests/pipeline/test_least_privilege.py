"""Least privilege: the journey runs as the roles of the templates, and without any of their actions a step fails."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.testing.github_issuer import GithubIssuer
from pipeline.config import Environment
from pipeline.errors import PipelineError
from pipeline.state.lock import lock_key
from tests.conftest import MATRIX_SEED
from tests.pipeline.conftest import environment
from tests.pipeline.deploy_jobs import Account, bootstrapped
from tests.pipeline.deploy_roles import KEY, actions_of
from tests.pipeline.enforced_steps import STAGING_STEPS, Journey
from tests.pipeline.scene import ROOT, contract_cloud
from tests.pipeline.stage import DEPLOYMENT
from tests.pipeline.steps import CAPACITY_RPS
from tests.pipeline.test_train import PROGRAM

NOT_REHEARSED = {
    "ecr:BatchCheckLayerAvailability": "docker push, which needs an engine",
    "ecr:BatchGetImage": "gh attestation verify, and docker push",
    "ecr:CompleteLayerUpload": "docker push",
    "ecr:GetAuthorizationToken": "docker login",
    "ecr:GetDownloadUrlForLayer": "docker pull",
    "ecr:InitiateLayerUpload": "docker push",
    "ecr:PutImage": "docker push",
    "ecr:UploadLayerPart": "docker push",
    "inspector2:ListCoverage": "ECR's enhanced scanning, which no local AWS has",
    "inspector2:ListFindings": "ECR's enhanced scanning",
}
"""Actions of the staging role that no step here asks for, with what does on AWS."""
NEEDED = [(step, action) for step, each in STAGING_STEPS.items() for action in each.needs]
BEFORE_ANY_ENDPOINT = [pair for pair in NEEDED if pair[0] in ("train", "publish", "preflight")]


def test_each_action_of_the_staging_role_is_needed_by_a_named_step() -> None:
    env = environment(endpoint={"kms_key": KEY})
    needed = [action for _, action in NEEDED]

    assert sorted(needed) == sorted(set(needed))
    assert actions_of(env, KEY) == set(needed) | NOT_REHEARSED.keys()


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Set up an account with staging in it, whose instances' storage a key encrypts."""
    monkeypatch.chdir(ROOT)
    program, data = tmp_path / "train.py", tmp_path / "data"
    program.write_text(PROGRAM)
    data.mkdir()
    (data / "golden.json").write_text('{"cases": [{"instance": [1]}]}')
    settings = {"time_scale": 240, "cpu_scale": 1, "iam": "enforce", "stop_grace_seconds": 2}
    places = {"state_dir": tmp_path / "state", "cache_dir": tmp_path / "cache"}
    with (
        GithubIssuer() as issuer,
        contract_cloud(
            **settings,
            **places,
            train_command=f"{sys.executable} {program}",
            oidc_issuers=issuer.setting,
        ) as cloud,
    ):
        key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        with bootstrapped(cloud, issuer, tmp_path, [staging(key, data)]) as made:
            yield made


def staging(key: str, data: Path) -> Environment:
    return environment(
        endpoint={"kms_key": key},
        deployment=DEPLOYMENT,
        autoscaling={"target": 60 * CAPACITY_RPS},
        training={"data": str(data), "hyperparameters": {"epochs": "2"}},
    )


def fails_without(action: str, step: str, account: Account, journey: Journey) -> None:
    """Take the action from the role: the step fails, and its error names the action."""
    role = account.roles["staging"].rpartition("/")[2]
    with (
        account.without(role, action),
        account.job("staging") as run,
        pytest.raises(PipelineError) as caught,
    ):
        STAGING_STEPS[step].do(journey, run, step)
    assert action in str(caught.value), f"{step} without {action}"
    lock = {"Bucket": run.env.aws.bucket, "Key": lock_key("staging")}
    account.cloud.client("s3").delete_object(**lock)  # a role that may delete nothing keeps it


def do(step: str, account: Account, journey: Journey) -> None:
    with account.job("staging") as run:
        STAGING_STEPS[step].do(journey, run, step)


@pytest.mark.starts_processes
def test_without_an_action_a_step_fails_and_with_it_the_step_is_done(account: Account) -> None:
    """One action by seed, of the steps before there is an endpoint; the test below has them all."""
    step, action = random.Random(MATRIX_SEED).choice(BEFORE_ANY_ENDPOINT)
    journey = Journey(account.cloud, account.folder / "models")
    for before in STAGING_STEPS:
        if before == step:
            break
        do(before, account, journey)
    fails_without(action, step, account, journey)

    do(step, account, journey)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
@pytest.mark.timeout(1700)
@pytest.mark.parametrize("every", ["action of the staging role"])
def test_the_journey_of_staging_needs_each_action_of_its_role(account: Account, every: str) -> None:
    """One test, since each step needs the state of AWS after the step before."""
    journey = Journey(account.cloud, account.folder / "models")
    for step, each in STAGING_STEPS.items():
        for action in each.needs:
            fails_without(action, step, account, journey)
        do(step, account, journey)

    assert account.cloud.status()["endpoints"] == [], every
