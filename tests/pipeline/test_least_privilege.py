"""Least privilege: the journey runs as the roles of the templates, and without any of their actions a step fails."""

import random

import pytest

from pipeline.errors import PipelineError
from pipeline.state.lock import lock_key
from tests.conftest import MATRIX_SEED
from tests.pipeline.deploy_jobs import Account
from tests.pipeline.deploy_roles import KEY, actions_of
from tests.pipeline.enforced_account import ENVIRONMENTS, environment_of
from tests.pipeline.enforced_steps import PROMOTED_TO, PUBLISHER, STEPS, Journey

WITH_AN_ENGINE = {
    "ecr:BatchCheckLayerAvailability": "docker push",
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
"""Actions that no step here asks for, with what does where images are pushed and scanned."""
OF_IMAGES = {
    "ecr:DescribeImages": "preflight of a pushed image",
    "ecr:DescribeRepositories": "a scan on push",
}
NOT_REHEARSED = {PUBLISHER: WITH_AN_ENGINE, PROMOTED_TO: WITH_AN_ENGINE | OF_IMAGES}
BEFORE_ANY_ENDPOINT = [
    (step, action) for step in ("train", "publish", "preflight") for action in STEPS[step].needs
]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_action_of_a_deploy_role_is_needed_by_a_named_step(name: str) -> None:
    needed = [action for each in STEPS.values() for action in each.needs_in(name)]
    granted = actions_of(environment_of(name, KEY), KEY)

    assert sorted(needed) == sorted(set(needed))
    assert set(needed) <= granted
    assert granted - set(needed) <= NOT_REHEARSED[name].keys()


def fails_without(action: str, step: str, name: str, account: Account, journey: Journey) -> None:
    """Take the action from the role: the step fails, and its error names the action."""
    role = account.roles[name].rpartition("/")[2]
    with account.without(role, action), account.job(name) as run, pytest.raises(PipelineError) as caught:
        STEPS[step].do(journey, run, step)
    assert action in str(caught.value), f"{step} without {action}"
    lock = {"Bucket": run.env.aws.bucket, "Key": lock_key(name)}
    account.cloud.client("s3").delete_object(**lock)  # a role that may delete nothing keeps it


def do(step: str, name: str, account: Account, journey: Journey) -> None:
    with account.job(name) as run:
        STEPS[step].do(journey, run, step)


@pytest.mark.starts_processes
def test_without_an_action_a_step_fails_and_with_it_the_step_is_done(enforced: Account) -> None:
    """One action by seed, of the steps before there is an endpoint; the test below has them all."""
    step, action = random.Random(MATRIX_SEED).choice(BEFORE_ANY_ENDPOINT)
    journey = Journey(enforced.cloud, enforced.folder / "models")
    for before in STEPS:
        if before == step:
            break
        do(before, PUBLISHER, enforced, journey)
    fails_without(action, step, PUBLISHER, enforced, journey)

    do(step, PUBLISHER, enforced, journey)


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
@pytest.mark.timeout(1700)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_journey_of_an_environment_needs_each_action_of_its_role(enforced: Account, name: str) -> None:
    """One test for each role, since each step needs the state of AWS after the step before."""
    journey = Journey(enforced.cloud, enforced.folder / "models")
    for step, each in STEPS.items():
        for action in each.needs_in(name):
            fails_without(action, step, name, enforced, journey)
        if each.of in (None, name, PUBLISHER):
            do(step, each.of or name, enforced, journey)

    assert enforced.cloud.status()["endpoints"] == []
