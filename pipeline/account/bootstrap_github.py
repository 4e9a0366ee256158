"""Let a GitHub repository deploy: a stack of the account's shared resources, and a role stack for each environment."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.account.stacks import Stack, bring_up, observe_stack
from pipeline.aws import AwsClient
from pipeline.config import AwsPlace, Environment
from pipeline.errors import ConfigError
from pipeline.github.setup import instructions, setup_commands
from pipeline.model import Model
from pipeline.publishing.train import training_job_prefix
from pipeline.run import Run

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "cloudformation"
GITHUB = "token.actions.githubusercontent.com"
LONGEST_ROLE_NAME = 64
REPOSITORY = re.compile(r"(?P<owner>[A-Za-z0-9-]+)/(?P<name>[\w.-]+)")
IDS = re.compile(r"(?P<owner>\d+)/(?P<name>\d+)")


@dataclass(frozen=True)
class GithubRepository:
    """A repository by its names and by its ids, as they appear in the tokens of its jobs."""

    owner: str
    name: str
    owner_id: int
    id: int

    @classmethod
    def parse(cls, names: str, ids: str | None) -> "GithubRepository":
        """Read ORG/REPO and ORG_ID/REPO_ID. Raises ConfigError saying how to find the ids."""
        found, numbers = REPOSITORY.fullmatch(names), IDS.fullmatch(ids or "")
        if found is None:
            raise ConfigError(f"--github-repo {names} is not ORG/REPO.", fix="Name it as GitHub does.")
        if numbers is None:
            raise ConfigError(
                f"--github-ids {ids or 'is missing: it'} is not ORG_ID/REPO_ID.",
                fix="Tokens of repositories made since July 2026 carry them. Ask: "
                f"gh api repos/{names} --jq '\"\\(.owner.id)/\\(.id)\"'",
            )
        return cls(found["owner"], found["name"], int(numbers["owner"]), int(numbers["name"]))

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    def subjects(self, environment: str) -> tuple[str, str]:
        """Return the `sub` claims of a job of one GitHub environment: the old form, and the immutable one."""
        with_ids = f"{self.owner}@{self.owner_id}/{self.name}@{self.id}"
        return f"repo:{self}:environment:{environment}", f"repo:{with_ids}:environment:{environment}"


@dataclass(frozen=True)
class GithubAccess:
    """The repository that may deploy, and the address for alerts. `monthly_budget`: USD; None leaves the template's."""

    repository: GithubRepository
    alert_email: str | None = None
    monthly_budget: int | None = None


class GithubBootstrapResult(Model):
    """The stacks and roles, and the `gh` commands that configure GitHub."""

    made: int
    stacks: tuple[str, ...]
    roles: dict[str, str]  # environment → ARN
    alerts_topic: str
    commands: tuple[str, ...]


def bootstrap_github(admission: GithubAccess, envs: Sequence[Environment], run: Run) -> GithubBootstrapResult:
    """Bring the account's stack and each environment's to their templates; log the commands that configure GitHub.

    Raises ConfigError when a resource of the account's stack exists outside of it, StackFailed.
    """
    place, before = one_place(envs), len(run.aws.made)
    account = account_stack(admission, place, _provider_parameter(place, run.aws))
    if observe_stack(account.name, run.aws) is None:
        require_nothing_there(place, run.aws)
    outputs = bring_up(account, run)
    roles, stacks = {}, [account.name]
    for env in envs:
        key = storage_key_arn(env, run.aws)
        stack = role_stack(admission.repository, env, outputs["GithubProviderArn"], key)
        roles[env.name] = bring_up(stack, run)["RoleArn"]
        stacks.append(stack.name)
    if len(run.aws.made) == before:
        log.info("every stack is as its template: no calls made")
    repository = str(admission.repository)
    commands = tuple(line for env in envs for line in setup_commands(repository, env, roles[env.name]))
    for line in instructions(repository, envs, commands, mailed_to=admission.alert_email):
        log.info(line)
    return GithubBootstrapResult(
        made=len(run.aws.made) - before,
        stacks=tuple(stacks),
        roles=roles,
        alerts_topic=outputs["AlertsTopicArn"],
        commands=commands,
    )


def one_place(envs: Sequence[Environment]) -> AwsPlace:
    """Return the `aws` section that all environments of the account share. Raises ConfigError when they differ."""
    place = envs[0].aws
    names = place.model_dump(exclude={"tags"})
    if any(env.aws.model_dump(exclude={"tags"}) != names for env in envs):
        named = ", ".join(env.name for env in envs)
        raise ConfigError(
            f"{named} are in one account, but their `aws:` sections differ.",
            fix="Let them be the same, or give --env to make one environment alone.",
        )
    return place


def account_stack(admission: GithubAccess, place: AwsPlace, provider: str) -> Stack:
    """Return the stack of the account's shared resources.

    `provider`: ARN of an OIDC provider made elsewhere; empty: the stack makes one.
    """
    parameters = {
        "RepositoryName": place.repository,
        "BucketName": place.bucket,
        "ExecutionRoleName": place.execution_role,
        "ModelPackageGroupName": place.model_package_group,
        "GithubProviderArn": provider,
    }
    if admission.alert_email is not None:
        parameters["AlertEmail"] = admission.alert_email
    if admission.monthly_budget is not None:
        parameters["MonthlyBudgetUsd"] = str(admission.monthly_budget)
    return Stack(f"{place.model_package_group}-account", _template("account"), parameters)


def role_stack(repository: GithubRepository, env: Environment, provider: str, kms_key: str = "") -> Stack:
    """Return the stack of the role of one environment's jobs. Raises ConfigError when its name would be too long.

    `kms_key`: the ARN of `endpoint.kms_key`; empty for none.
    """
    place = env.aws
    name = f"{place.model_package_group}-deploy-{env.name}"
    if len(name) > LONGEST_ROLE_NAME:
        raise ConfigError(
            f"The role {name} would have {len(name)} characters; IAM takes {LONGEST_ROLE_NAME}.",
            fix="Shorten aws.model_package_group or the environment's name.",
        )
    subject, immutable = repository.subjects(env.name)
    parameters = {
        "EnvironmentName": env.name,
        "RoleName": name,
        "GithubProviderArn": provider,
        "GithubSubject": subject,
        "GithubImmutableSubject": immutable,
        "EndpointName": env.endpoint.name,
        "EndpointNameInArns": env.endpoint.name.lower(),
        "BucketName": place.bucket,
        "RepositoryName": place.repository,
        "ExecutionRoleName": place.execution_role,
        "ModelPackageGroupName": place.model_package_group,
        "Publishes": str(env.promotes_from is None).lower(),
        "Trains": str(env.training is not None).lower(),
        "TrainingJobPrefix": training_job_prefix(env).lower(),
        "KmsKeyArn": kms_key,
    }
    return Stack(name, _template("deploy-role"), parameters)


def storage_key_arn(env: Environment, aws: AwsClient) -> str:
    """Return the ARN of the key that encrypts the instances' storage; empty where the config names none.

    IAM knows keys by their ARNs alone; the config may name an alias. Raises ConfigError when there is no such key.
    """
    if env.endpoint.kms_key is None:
        return ""
    found = aws.find("kms", "describe_key", KeyId=env.endpoint.kms_key)
    if found is None:
        raise ConfigError(
            f"There is no key {env.endpoint.kms_key} in {env.aws.region}.",
            fix=f"Create it, or correct endpoint.kms_key in config/{env.name}.yaml.",
        )
    return str(found["KeyMetadata"]["Arn"])


def _provider_parameter(place: AwsPlace, aws: AwsClient) -> str:
    """Return the parameter of the existing stack; else the ARN of an existing provider; else empty."""
    found = observe_stack(f"{place.model_package_group}-account", aws)
    if found is not None:
        return found.parameters.get("GithubProviderArn", "")
    arn = f"arn:aws:iam::{place.account_id}:oidc-provider/{GITHUB}"
    there = aws.find("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn)
    return arn if there else ""


def require_nothing_there(place: AwsPlace, aws: AwsClient) -> None:
    """Return when no resource of the stack exists yet. Raises ConfigError naming those that do."""
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {
        f"repository {place.repository}": ("ecr", "describe_repositories", {"repositoryNames": [place.repository]}),
        f"bucket {place.bucket}": ("s3", "head_bucket", {"Bucket": place.bucket}),
        f"role {place.execution_role}": ("iam", "get_role", {"RoleName": place.execution_role}),
    }  # fmt: skip
    there = [what for what, (service, call, named) in asked.items() if aws.find(service, call, **named)]
    if there:
        raise ConfigError(
            f"{', '.join(there)} exist already, outside of stack {place.model_package_group}-account.",
            fix="Let the stack take them over: aws cloudformation create-change-set "
            "--import-existing-resources with pipeline/account/cloudformation/account.yaml (docs/github.md), or "
            "choose other names in config/.",
        )


def _template(name: str) -> str:
    return (TEMPLATES / f"{name}.yaml").read_text()
