"""The rights between accounts follow from both configs, and name one role and one place."""

from pipeline.account.bootstrap_github import GithubAccess, GithubRepository, account_stack, role_stack
from pipeline.account.neighbours import account_parameters, role_parameters
from pipeline.config import Environment, environments, load_environment
from tests.pipeline.deploy_roles import REPOSITORY
from tests.pipeline.scene import ROOT
from tests.pipeline.two_accounts import EXAMPLE

ROLE = "arn:aws:iam::210987654321:role/digits-deploy-production"


def both() -> list[Environment]:
    return [load_environment(name, EXAMPLE) for name in environments(EXAMPLE)]


def test_the_account_before_lets_the_next_ones_deploy_role_in() -> None:
    production, staging = both()

    assert account_parameters(staging.aws, both()) == {
        "ReaderAccounts": "210987654321",
        "ReaderRoleArns": ROLE,
        "OtherAccounts": "210987654321",
    }
    assert account_parameters(production.aws, both()) == {
        "ReaderAccounts": "",
        "ReaderRoleArns": "",
        "OtherAccounts": "123456789012",
    }


def test_the_next_accounts_role_may_read_what_is_before_it() -> None:
    production, staging = both()

    assert role_parameters(production, both()) == {
        "SourceBucketName": "digits-releases-123456789012",
        "SourceRepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/digits",
        "SourceEnvironment": "staging",
        "ReadRoleArns": "arn:aws:iam::123456789012:role/digits-read",
    }
    assert role_parameters(staging, both())["SourceBucketName"] == ""
    assert role_parameters(staging, both())["ReadRoleArns"] == "arn:aws:iam::210987654321:role/digits-read"


def test_in_one_account_nobody_is_let_in() -> None:
    one = [load_environment(name, ROOT / "config") for name in environments(ROOT / "config")]

    assert {*account_parameters(one[0].aws, one).values()} == {""}
    assert {value for env in one for value in role_parameters(env, one).values()} == {""}


def test_the_stacks_take_these_parameters() -> None:
    production, _ = both()
    access = GithubAccess(GithubRepository("ORG", "REPO", 12, 345))

    account = account_stack(access, production.aws, "", both()).parameters
    role = role_stack(REPOSITORY, production, "provider", every=both()).parameters
    assert account_parameters(production.aws, both()).items() <= account.items()
    assert role_parameters(production, both()).items() <= role.items()
