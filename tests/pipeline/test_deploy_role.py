"""The deploy role of an environment: every call that a step makes, on what is its own, and nothing else."""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name

from pipeline.account.bootstrap_github import TEMPLATES
from pipeline.autoscaling.saved_scaling import saved_scaling_key
from pipeline.config import Environment
from pipeline.promotion.promote import outcome_key
from pipeline.publishing.publish import metrics_key
from pipeline.publishing.supply_chain import provenance_key, sbom_key
from pipeline.release_store.manifests import release_key
from pipeline.state.lock import lock_key
from pipeline.state.rollback_intent import intent_key
from pipeline.verification.evidence import evidence_key

ROOT = Path(__file__).parents[2]
BY_A_PERSON = {
    "bootstrap.py",
    "bootstrap_github.py",
    "stacks.py",
    "collect.py",
    "garbage.py",
}  # with credentials of their own
PARAMETERS = {
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "EnvironmentName": "staging",
    "EndpointName": "digits-staging",
    "BucketName": "releases",
    "RepositoryName": "digits",
    "ExecutionRoleName": "digits-sagemaker",
    "RoleName": "digits-deploy-staging",
    "ModelPackageGroupName": "digits",
}
PREFIXES = {"service-quotas": "servicequotas", "sagemaker-runtime": "sagemaker"}
OTHERWISE_NAMED = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:ListParts": "s3:ListMultipartUploadParts",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
FOR_EVERYBODY = {"sts:GetCallerIdentity"}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms; only Ref and Sub are needed."""


def _substitute(_: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return re.sub(r"\$\{([\w:]+)\}", lambda found: PARAMETERS[found[1]], str(node.value))


_Loader.add_constructor("!Sub", _substitute)
_Loader.add_constructor("!Ref", lambda _, node: PARAMETERS.get(node.value, node.value))
_Loader.add_constructor("!GetAtt", lambda _, node: node.value)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements() -> list[dict[str, Any]]:
    template = yaml.load((TEMPLATES / "deploy-role.yaml").read_text(), _Loader)
    policies = template["Resources"]["DeployRole"]["Properties"]["Policies"]
    return [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]


def allows(action: str, resource: str) -> bool:
    return any(
        action in listed(statement["Action"])
        and any(
            re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), resource)
            for pattern in listed(statement["Resource"])
        )
        for statement in statements()
    )


def operations(path: Path) -> Iterator[tuple[str, str]]:
    """Every (service, operation) that a module names as two literal words beside each other."""
    for node in ast.walk(ast.parse(path.read_text())):
        words = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        texts = [word.value if isinstance(word, ast.Constant) else None for word in words]
        for service, operation in pairwise(texts):
            if isinstance(service, str) and isinstance(operation, str) and operation in known(service):
                yield service, operation


_KNOWN: dict[str, dict[str, str]] = {}


def known(service: str) -> dict[str, str]:
    """Return the operations of a service by boto3's names; none for a word that is no service."""
    if service not in _KNOWN:
        session = botocore.session.get_session()
        names = (
            session.get_service_model(service).operation_names
            if service in session.get_available_services()
            else []
        )
        _KNOWN[service] = {xform_name(name): name for name in names}
    return _KNOWN[service]


def actions_of_the_steps() -> dict[str, str]:
    """Return the IAM action of each call in pipeline/, and the module that makes it."""
    found = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        if path.name not in BY_A_PERSON:
            for service, operation in operations(path):
                action = f"{PREFIXES.get(service, service)}:{known(service)[operation]}"
                found[OTHERWISE_NAMED.get(action, action)] = str(path.relative_to(ROOT))
    return found


def test_the_role_may_make_every_call_that_a_step_makes() -> None:
    """A step that calls something new needs it in pipeline/account/cloudformation/deploy-role.yaml."""
    allowed = {action for statement in statements() for action in listed(statement["Action"])}
    asked = actions_of_the_steps()
    missing = {action: module for action, module in asked.items() if action not in allowed | FOR_EVERYBODY}

    assert len(asked) > 25
    assert not missing


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:UpdateEndpoint", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits-staging"),
        ("sagemaker:CreateEndpoint", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits-staging-capacity"),
        ("sagemaker:DeleteEndpoint", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits-staging-baseline"),
        ("sagemaker:DescribeEndpoint", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits-production"),
        ("sagemaker:CreateModel", "arn:aws:sagemaker:eu-west-1:123456789012:model/digits-staging-a-b"),
        ("cloudwatch:PutMetricAlarm", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:digits-staging/c/p99"),
        ("s3:PutObject", "arn:aws:s3:::releases/evidence/abc/staging.json"),
        ("s3:PutObject", "arn:aws:s3:::releases/weights/abc/model.tar.gz"),
        ("s3:GetObject", "arn:aws:s3:::releases/evidence/abc/production.json"),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/digits-sagemaker"),
    ],
)  # fmt: skip
def test_its_own_environment_is_open_to_it(action: str, resource: str) -> None:
    assert allows(action, resource)


KEYS: tuple[Callable[[Environment], str], ...] = (
    lambda env: lock_key(env.name),
    lambda env: saved_scaling_key(env),
    lambda env: intent_key(env),
    lambda env: evidence_key("a-b", env.name),
    lambda env: outcome_key("a-b", env.name),
    lambda env: f"deployments/{env.name}/1-a-b.json",
    lambda env: f"audit/{env.name}/1.json",
)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_an_environments_own_records_are_written_by_its_role_alone(
    make_env: Callable[..., Environment], key: Callable[[Environment], str]
) -> None:
    mine = make_env()
    others = make_env(name="production", endpoint={"name": "digits-production"})

    assert allows("s3:PutObject", f"arn:aws:s3:::releases/{key(mine)}")
    assert not allows("s3:PutObject", f"arn:aws:s3:::releases/{key(others)}")


@pytest.mark.parametrize(
    "key", [release_key("a-b"), metrics_key("a-b"), sbom_key("t"), provenance_key("t"), "weights-seen/f.json"]
)
def test_what_a_release_is_made_of_is_written_by_whoever_publishes(key: str) -> None:
    assert allows("s3:PutObject", f"arn:aws:s3:::releases/{key}")
    assert not allows("s3:DeleteObject", f"arn:aws:s3:::releases/{key}")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sagemaker:UpdateEndpoint", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits-production"),
        ("sagemaker:DeleteEndpoint", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/digits-staging-2"),
        ("sagemaker:DeleteModel", "arn:aws:sagemaker:eu-west-1:123456789012:model/digits-production-a-b"),
        ("cloudwatch:DeleteAlarms", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:digits-production/c/p99"),
        ("s3:PutObject", "arn:aws:s3:::releases/evidence/abc/production.json"),
        ("s3:PutObject", "arn:aws:s3:::releases/deployments/production/1.json"),
        ("s3:DeleteObject", "arn:aws:s3:::releases/weights/abc/model.tar.gz"),
        ("s3:GetObject", "arn:aws:s3:::another/weights/abc/model.tar.gz"),
        ("ecr:BatchDeleteImage", "arn:aws:ecr:eu-west-1:123456789012:repository/digits"),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/admin"),
        ("iam:CreateRole", "arn:aws:iam::123456789012:role/digits-sagemaker"),
    ],
)  # fmt: skip
def test_what_is_anothers_is_closed(action: str, resource: str) -> None:
    assert not allows(action, resource)


def test_no_action_is_given_by_a_pattern() -> None:
    actions = [action for statement in statements() for action in listed(statement["Action"])]

    assert not [action for action in actions if "*" in action]
    assert {statement["Effect"] for statement in statements()} == {"Allow"}


def test_the_one_role_it_may_pass_goes_to_sagemaker_alone() -> None:
    (passing,) = [each for each in statements() if "iam:PassRole" in listed(each["Action"])]

    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
