"""Jobs of GitHub on an AWS that enforces IAM: the roles of the templates, assumed by OIDC tokens."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

import local_aws
from local_aws.testing.github_issuer import GithubIssuer, Job
from pipeline.account.bootstrap_github import GithubAccess, GithubRepository, bootstrap_github
from pipeline.aws import AwsClient
from pipeline.config import Environment
from pipeline.run import Run
from tests.pipeline.clocks import HastyClock

REPOSITORY = "ORG/REPO"
SESSION = "job"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AccessKeyId",
    "AWS_SECRET_ACCESS_KEY": "SecretAccessKey",
    "AWS_SESSION_TOKEN": "SessionToken",
}


@dataclass
class Account:
    """An account that `bootstrap --github-repo` has set up, and the jobs in it."""

    cloud: local_aws.Running
    issuer: GithubIssuer
    folder: Path
    envs: Mapping[str, Environment]
    roles: Mapping[str, str]
    """ARNs of the deploy roles by environment."""

    @contextmanager
    def job(self, environment: str) -> Iterator[Run]:
        """Be a job of this environment while the block lasts: its credentials are the process's, and its children's."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._credentials(environment).items():
                patch.setenv(name, value)
            forget_clients(patch)
            yield self.run(environment)

    def run(self, environment: str) -> Run:
        """Return a run with the credentials of the process: outside of a job, the administrator's."""
        env = self.envs[environment]
        return Run(env, AwsClient(env.aws, clock=HastyClock()), self.folder / environment)

    @contextmanager
    def without(self, role: str, action: str, account: str | None = None) -> Iterator[None]:
        """Take an action from all policies of a role while the block lasts. `account`: the role's, if not the first."""
        iam = self.cloud.client("iam", account=account)
        kept = {}
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            kept[name] = json.dumps(document)
            iam.put_role_policy(
                RoleName=role, PolicyName=name, PolicyDocument=json.dumps(less(document, action))
            )
        try:
            yield
        finally:
            for name, text in kept.items():
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)

    def _credentials(self, environment: str) -> dict[str, str]:
        sts = self.cloud.client("sts", config=Config(signature_version=UNSIGNED))
        token = self.issuer.mint(Job(repository=REPOSITORY, environment=environment))
        given = sts.assume_role_with_web_identity(
            RoleArn=self.roles[environment], RoleSessionName=SESSION, WebIdentityToken=token
        )["Credentials"]
        return {name: given[key] for name, key in KEYS.items()}


def forget_clients(patch: pytest.MonkeyPatch) -> None:
    """Let the next clients be made with the credentials of now: boto3 and the SageMaker SDK keep the first ones."""
    patch.setattr(boto3, "DEFAULT_SESSION", None)
    if sdk := sys.modules.get("sagemaker.core.utils.utils"):
        vars(sdk)["SageMakerClient"].reset()


def less(document: Mapping[str, Any], action: str) -> dict[str, Any]:
    """Return a policy without an action; a statement that has no other one becomes one of an action of nobody's."""
    kept = []
    for statement in document["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        kept.append(
            {**statement, "Action": [each for each in actions if each != action] or ["sts:TagSession"]}
        )
    return {**document, "Statement": kept}


@contextmanager
def bootstrapped(
    cloud: local_aws.Running, issuer: GithubIssuer, folder: Path, envs: list[Environment]
) -> Iterator[Account]:
    """Set an account up for the environments, as an administrator; the process has its credentials."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environ.items():
            patch.setenv(name, value)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        forget_clients(patch)
        access = GithubAccess(GithubRepository.parse(REPOSITORY, "12/345"))
        made = bootstrap_github(access, envs, Run.for_environment(envs[0], folder))
        yield Account(cloud, issuer, folder, {env.name: env for env in envs}, made.roles)
    os.environ.pop("AWS_SESSION_TOKEN", None)
