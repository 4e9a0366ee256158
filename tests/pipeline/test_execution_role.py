"""The execution role's own rights: without any action of its policies, what SageMaker does in its name fails."""

import json
import random

import pytest

from pipeline.errors import PipelineError
from pipeline.publishing.supply_chain import Origin
from pipeline.publishing.train import TrainResult, train
from pipeline.run import Run
from tests.conftest import MATRIX_SEED
from tests.pipeline.deploy_jobs import Account
from tests.pipeline.enforced_steps import STEPS, Journey
from tests.pipeline.test_train import with_epochs

ROLE = "digits-sagemaker"
TRAINS_BY = (
    *("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    *("ecr:BatchCheckLayerAvailability", "s3:ListBucket", "s3:GetObject", "s3:PutObject"),
)
LOGS_BY = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
DEPLOYS_BY = ("cloudwatch:DescribeAlarms",)
NOT_REHEARSED = {
    "cloudwatch:PutMetricData": "the metrics of a container, which SageMaker publishes with this role"
}


def trained(run: Run) -> TrainResult:
    return train(run, Origin(), engine=False, sbom=False)


def training_fails_without(action: str, account: Account) -> None:
    with account.without(ROLE, action), account.job("staging") as run, pytest.raises(PipelineError) as caught:
        trained(run)
    assert action.partition(":")[2] in str(caught.value), action


@pytest.mark.starts_processes
def test_a_job_whose_role_may_not_do_its_part_fails_and_is_done_when_it_may(enforced: Account) -> None:
    """One action by seed; the test below has them all."""
    training_fails_without(random.Random(MATRIX_SEED).choice(TRAINS_BY), enforced)

    with enforced.job("staging") as run:
        assert trained(run).made


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", [ROLE])
def test_each_action_of_the_execution_role_is_needed(enforced: Account, role: str) -> None:
    document = enforced.cloud.client("iam").get_role_policy(RoleName=role, PolicyName="serve-releases")
    granted = {each for one in document["PolicyDocument"]["Statement"] for each in one["Action"]}
    for action in TRAINS_BY:
        training_fails_without(action, enforced)
    with enforced.job("staging") as run:
        trained(run)
    for number, action in enumerate(LOGS_BY, start=3):
        no_log_is_kept_without(action, number, enforced)
    no_deployment_by_alarms_begins_without("cloudwatch:DescribeAlarms", enforced)

    assert granted == {*TRAINS_BY, *LOGS_BY, *DEPLOYS_BY, *NOT_REHEARSED}, json.dumps(sorted(granted))


def no_log_is_kept_without(action: str, number: int, account: Account) -> None:
    """Train with a number of epochs of its own, so that it is another job."""
    before = log_streams(account)
    with account.without(ROLE, action), account.job("staging") as run:
        train(with_epochs(run, number), Origin(), engine=False, sbom=False)

    assert log_streams(account) == before, action


def log_streams(account: Account) -> list[str]:
    logs = account.cloud.client("logs")
    found = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs")["logStreams"]
    return [each["logStreamName"] for each in found]


def no_deployment_by_alarms_begins_without(action: str, account: Account) -> None:
    journey = Journey(account.cloud, account.folder / "models")
    with account.job("staging") as run:
        for step in ("publish", "publish others", "first deploy"):
            STEPS[step].do(journey, run, step)
        with account.without(ROLE, action), pytest.raises(PipelineError, match=action):
            STEPS["deploy"].do(journey, run, "deploy")
