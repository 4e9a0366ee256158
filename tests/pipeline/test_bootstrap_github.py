"""The stacks of a GitHub repository: what they make on AWS, whom they let in, and that they end well."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import local_aws
from local_aws.testing.github_issuer import GithubIssuer, Job
from pipeline.account.bootstrap import bootstrap, execution_policy
from pipeline.account.bootstrap_github import (
    GithubAccess,
    GithubRepository,
    account_stack,
    bootstrap_github,
    one_place,
)
from pipeline.account.stacks import Stack, StackState, bring_up, plan_stack
from pipeline.aws import AwsClient
from pipeline.config import Environment, load_environment
from pipeline.errors import AwsRefused, ConfigError, StackFailed
from pipeline.run import Run
from tests.pipeline.clocks import FakeClock

ROOT = Path(__file__).parents[2]
REPOSITORY = GithubRepository("ORG", "REPO", 12, 345)
ACCESS = GithubAccess(REPOSITORY, alert_email="us@example.com", monthly_budget=50)
OLD_JOB = Job("ORG/REPO", environment="staging")


@pytest.fixture(scope="module")
def issuer() -> Iterator[GithubIssuer]:
    with GithubIssuer() as serving:
        yield serving


@pytest.fixture(scope="module")
def running(issuer: GithubIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_aws.Running]:
    root = tmp_path_factory.mktemp("aws")
    places = {"state_dir": root / "state", "cache_dir": root / "cache"}
    with local_aws.start(instances="process", oidc_issuers=issuer.setting, **places) as aws:
        yield aws


@pytest.fixture
def envs() -> list[Environment]:
    return [load_environment(name, ROOT / "config") for name in ("production", "staging")]


@pytest.fixture
def run(
    running: local_aws.Running, envs: list[Environment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    return Run(envs[0], AwsClient(envs[0].aws, FakeClock()), tmp_path)


@pytest.fixture
def roles(run: Run, envs: list[Environment]) -> dict[str, str]:
    """Return the deploy roles by environment; the first test makes the stacks."""
    return bootstrap_github(ACCESS, envs, run).roles


def taken(run: Run, role: str, token: str) -> str:
    """Take a role with a token as a job does; return who one is then."""
    answer = run.aws.read(
        "sts", "assume_role_with_web_identity",
        RoleArn=role, RoleSessionName="job", WebIdentityToken=token, DurationSeconds=7200,
    )  # fmt: skip
    return str(answer["AssumedRoleUser"]["Arn"])


@pytest.mark.starts_processes
@pytest.mark.parametrize("job", [OLD_JOB, replace(OLD_JOB, ids=(12, 345))], ids=lambda job: job.subject)
def test_a_job_of_the_environment_takes_its_role(
    run: Run, roles: dict[str, str], issuer: GithubIssuer, job: Job
) -> None:
    assert "digits-deploy-staging" in taken(run, roles["staging"], issuer.mint(job))


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    "job",
    [
        replace(OLD_JOB, environment="production"),
        replace(OLD_JOB, environment=None),
        replace(OLD_JOB, environment=None, event="pull_request"),
        replace(OLD_JOB, repository="ORG/OTHER"),
        replace(OLD_JOB, repository="SOMEBODY/REPO"),
        replace(OLD_JOB, ids=(12, 346)),  # another repository that came to have the name
        replace(OLD_JOB, ids=(13, 345)),
        replace(OLD_JOB, environment="staging-2"),
    ],
    ids=lambda job: job.subject,
)
def test_no_other_job_takes_it(run: Run, roles: dict[str, str], issuer: GithubIssuer, job: Job) -> None:
    with pytest.raises(AwsRefused, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
        taken(run, roles["staging"], issuer.mint(job))


@pytest.mark.starts_processes
def test_a_token_for_somebody_else_is_no_key(run: Run, roles: dict[str, str], issuer: GithubIssuer) -> None:
    with pytest.raises(AwsRefused, match="audience"):
        taken(run, roles["staging"], issuer.mint(OLD_JOB, audience="https://github.com/ORG"))


@pytest.mark.starts_processes
def test_a_second_time_makes_no_call(run: Run, roles: dict[str, str], envs: list[Environment]) -> None:
    run.aws.made.clear()
    again = bootstrap_github(ACCESS, envs, run)

    assert (again.made, run.aws.made) == (0, [])
    assert again.roles == roles


@pytest.mark.starts_processes
def test_the_stacks_and_bootstrap_by_hand_mean_the_same(
    run: Run, roles: dict[str, str], envs: list[Environment]
) -> None:
    """`bootstrap --env` mends what was weakened: of what the stacks have just made, nothing is."""
    for env in envs:
        assert bootstrap(run.in_environment(env)).made == 0
    role = run.aws.read("iam", "get_role_policy", RoleName="digits-sagemaker", PolicyName="serve-releases")
    assert role["PolicyDocument"] == execution_policy(envs[0].aws)


@pytest.mark.starts_processes
def test_the_bucket_is_encrypted_versioned_and_closed(
    run: Run, roles: dict[str, str], envs: list[Environment]
) -> None:
    bucket = {"Bucket": envs[0].aws.bucket}
    (rule,) = run.aws.read("s3", "get_bucket_encryption", **bucket)["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    policy = json.loads(run.aws.read("s3", "get_bucket_policy", **bucket)["Policy"])

    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert run.aws.read("s3", "get_bucket_versioning", **bucket)["Status"] == "Enabled"
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    run.aws.put_json("weights/there.json", {})
    assert run.aws.get_json("weights/there.json") == {}


@pytest.mark.starts_processes
def test_the_repository_never_lets_go_of_a_published_image_by_itself(
    run: Run, roles: dict[str, str], envs: list[Environment]
) -> None:
    """ECR does not know what serves; what has a tag, and every published image has one, stays."""
    repository = {"repositoryName": envs[0].aws.repository}
    rules = json.loads(run.aws.read("ecr", "get_lifecycle_policy", **repository)["lifecyclePolicyText"])[
        "rules"
    ]
    (found,) = run.aws.read("ecr", "describe_repositories", repositoryNames=[envs[0].aws.repository])[
        "repositories"
    ]

    assert {rule["selection"]["tagStatus"] for rule in rules} == {"untagged"}
    assert found["imageTagMutability"] == "IMMUTABLE"


@pytest.mark.starts_processes
def test_somebody_is_told_of_alarms_and_of_money(run: Run, roles: dict[str, str]) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:digits-alerts"
    attributes = run.aws.read("sns", "get_topic_attributes", TopicArn=topic)["Attributes"]
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    subscribed = run.aws.read("sns", "list_subscriptions_by_topic", TopicArn=topic)["Subscriptions"]
    budget = {"AccountId": "123456789012", "BudgetName": "digits-sagemaker"}

    assert statement["Principal"] == {"Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]}
    assert [each["Endpoint"] for each in subscribed] == ["us@example.com"]
    assert run.aws.read("budgets", "describe_budget", **budget)["Budget"]["BudgetLimit"]["Amount"] == "50"
    told = run.aws.read("budgets", "describe_notifications_for_budget", **budget)["Notifications"]
    assert {(each["NotificationType"], each["Threshold"]) for each in told} == {
        ("ACTUAL", 80.0), ("FORECASTED", 100.0),
    }  # fmt: skip


@pytest.mark.starts_processes
def test_another_address_is_an_update_and_the_budget_stays(
    run: Run, roles: dict[str, str], envs: list[Environment]
) -> None:
    """Parameters that were given once are kept by later runs."""
    found = bring_up(account_stack(ACCESS, envs[0].aws, ""), run)
    changed = account_stack(replace(ACCESS, monthly_budget=None), envs[0].aws, "")
    template = changed.template.replace("Releases, one version each", "One version for each release")

    assert plan_stack(changed, None)[0].operation == "create_stack"
    seen = StackState(
        "CREATE_COMPLETE", changed.template, {**changed.parameters, "MonthlyBudgetUsd": "50"}, found, ""
    )
    assert plan_stack(changed, seen) == ()
    (call,) = plan_stack(replace(changed, template=template), seen)
    assert call.operation == "update_stack"
    assert {"ParameterKey": "MonthlyBudgetUsd", "UsePreviousValue": True} in call.params["Parameters"]


@pytest.mark.starts_processes
def test_a_stack_that_fails_says_which_resource_and_can_be_made_again(run: Run) -> None:
    topic: dict[str, Any] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "not a name"}}
    bad = Stack("broken", json.dumps({"Resources": {"Topic": topic}}), {})

    with pytest.raises(StackFailed, match=r"Stack broken ended in ROLLBACK_COMPLETE: .+"):
        bring_up(bad, run)
    good = json.dumps({"Resources": {"Topic": topic | {"Properties": {"TopicName": "name"}}}})
    bring_up(replace(bad, template=good), run)
    assert run.aws.made[-2:] == ["delete stack broken, of which nothing came", "create stack broken"]


def test_a_stack_that_only_a_person_can_free_is_left_alone() -> None:
    stuck = StackState("UPDATE_ROLLBACK_FAILED", "", {}, {}, "the bucket is not empty")

    with pytest.raises(StackFailed, match="UPDATE_ROLLBACK_FAILED: the bucket is not empty"):
        plan_stack(Stack("stuck", "", {}), stuck)


def test_what_another_has_made_is_not_fought_over(moto: str, account: Run, envs: list[Environment]) -> None:
    """The bucket of `bootstrap --env` exists: a stack that wants to make it would be rolled back."""
    with pytest.raises(ConfigError, match="bucket digits-releases-123456789012, role digits-sagemaker exist"):
        bootstrap_github(ACCESS, envs, account)
    assert account.aws.made == []


@pytest.mark.parametrize("names", ["ORG", "ORG/REPO/x", "https://github.com/ORG/REPO", "*/REPO"])
def test_a_repository_is_named_as_github_does(names: str) -> None:
    with pytest.raises(ConfigError, match="is not ORG/REPO"):
        GithubRepository.parse(names, "1/2")


def test_missing_ids_are_asked_for_with_the_command_that_finds_them() -> None:
    with pytest.raises(ConfigError) as caught:
        GithubRepository.parse("ORG/REPO", None)

    assert "gh api repos/ORG/REPO --jq" in caught.value.fix


def test_environments_of_one_account_share_what_they_stand_on(envs: list[Environment]) -> None:
    other = envs[0].model_copy(update={"aws": envs[0].aws.model_copy(update={"bucket": "another"})})

    with pytest.raises(ConfigError, match="production, staging are in one account"):
        one_place([other, envs[1]])


@pytest.mark.starts_processes
def test_the_command_says_what_to_tell_github(
    running: local_aws.Running, roles: dict[str, str], tmp_path: Path
) -> None:
    words = ["bootstrap", "--github-repo", "ORG/REPO", "--github-ids", "12/345", "--build", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", *words, "--alert-email", "us@example.com", "--monthly-budget", "50"],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", **running.environ}, capture_output=True, text=True,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert "no calls made" in ended.stdout
    assert (
        f"gh variable set AWS_ROLE_ARN --repo ORG/REPO --env staging --body {roles['staging']}"
        in ended.stdout
    )
