"""The shared resources of environments are made once, with safe settings, and never made again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.account.bootstrap import bootstrap, execution_policy, require_account
from pipeline.config import Environment
from pipeline.errors import WrongAccount
from pipeline.run import Run

MakeEnv = Callable[..., Environment]


TOO_WIDE = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'


def test_a_second_bootstrap_makes_no_call(account: Run, env: Environment) -> None:
    assert bootstrap(account).made == 0
    assert account.aws.made == []


def test_the_bucket_is_private_and_keeps_versions(account: Run, env: Environment) -> None:
    bucket = env.aws.bucket
    block = account.aws.read("s3", "get_public_access_block", Bucket=bucket)["PublicAccessBlockConfiguration"]

    assert set(block.values()) == {True}
    assert account.aws.read("s3", "get_bucket_versioning", Bucket=bucket)["Status"] == "Enabled"
    assert (
        account.aws.read("s3", "get_bucket_location", Bucket=bucket)["LocationConstraint"] == env.aws.region
    )


def test_tags_in_the_repository_are_immutable(account: Run, env: Environment) -> None:
    found = account.aws.read("ecr", "describe_repositories", repositoryNames=[env.aws.repository])

    assert found["repositories"][0]["imageTagMutability"] == "IMMUTABLE"


def test_only_sagemaker_may_take_the_execution_role(account: Run, env: Environment) -> None:
    role = account.aws.read("iam", "get_role", RoleName=env.aws.execution_role)["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert role["Arn"] == env.aws.execution_role_arn


def test_the_execution_role_may_read_and_watch_and_write_only_what_is_made(env: Environment) -> None:
    """A rollback by alarm needs cloudwatch:DescribeAlarms of this very role."""
    statements = execution_policy(env.aws)["Statement"]
    actions = {action for statement in statements for action in statement["Action"]}
    everywhere = {a for each in statements if each["Resource"] == "*" for a in each["Action"]}

    assert "cloudwatch:DescribeAlarms" in actions
    assert everywhere == {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}
    assert not [action for action in actions if "*" in action or "Delete" in action]
    assert [each["Resource"] for each in statements if "s3:PutObject" in each["Action"]] == [
        [f"arn:aws:s3:::{env.aws.bucket}/{made}/*" for made in ("training/jobs", "captured")]
    ]


@pytest.mark.parametrize(
    ("service", "operation", "params", "mended"),
    [
        ("s3", "delete_public_access_block", {"Bucket": "digits-releases-123456789012"}, "block public access"),
        (
            "s3",
            "put_bucket_versioning",
            {"Bucket": "digits-releases-123456789012", "VersioningConfiguration": {"Status": "Suspended"}},
            "keep versions",
        ),
        (
            "ecr",
            "put_image_tag_mutability",
            {"repositoryName": "digits", "imageTagMutability": "MUTABLE"},
            "make the tags of digits immutable",
        ),
        (
            "iam",
            "put_role_policy",
            {"RoleName": "digits-sagemaker", "PolicyName": "serve-releases", "PolicyDocument": TOO_WIDE},
            "put policy serve-releases",
        ),
    ],
)  # fmt: skip
def test_what_was_weakened_is_mended_and_nothing_else(
    account: Run, env: Environment, service: str, operation: str, params: dict[str, object], mended: str
) -> None:
    account.aws.read(service, operation, **params)
    bootstrap(account)

    assert len(account.aws.made) == 1
    assert account.aws.made[0].startswith(mended)


def test_the_account_of_the_credentials_must_be_the_environments(
    moto: str, make_env: MakeEnv, tmp_path: Path
) -> None:
    env = make_env(aws={"account_id": "210987654321"})

    with pytest.raises(WrongAccount, match="belong to account 123456789012"):
        require_account(Run.for_environment(env, tmp_path))
