"""The deploy role of an environment: every call that a step makes, on what is its own, and nothing else."""

import ast
import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from pipeline.autoscaling.saved_scaling import saved_scaling_key
from pipeline.config import Environment, load_environment
from pipeline.promotion.outcome import outcome_key
from pipeline.publishing.publish import metrics_key
from pipeline.publishing.supply_chain import provenance_key, sbom_key
from pipeline.release_store.manifests import release_key
from pipeline.state.lock import lock_key
from pipeline.state.rollback_intent import intent_key
from pipeline.verification.evidence import evidence_key
from tests.pipeline.deploy_roles import KEY, actions_of, listed, may, policies_of, statements_of

ROOT = Path(__file__).parents[2]
STAGING, PRODUCTION = (load_environment(name, ROOT / "config") for name in ("staging", "production"))
BUCKET = f"arn:aws:s3:::{STAGING.aws.bucket}"
SAGEMAKER = "arn:aws:sagemaker:eu-west-1:123456789012"
LOGS = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker"
ALARM = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm"
IMAGES = "arn:aws:ecr:eu-west-1:123456789012:repository/digits"
TARGET = "arn:aws:application-autoscaling:eu-west-1:123456789012:scalable-target/1234abcd"
SCALING = {
    "application_autoscaling__service_namespace": "sagemaker",
    "application_autoscaling__scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
}

# ------------------------------------------------------------------------------- the calls of the steps

BY_AN_ADMINISTRATOR = {"bootstrap.py", "bootstrap_github.py", "stacks.py", "collect.py", "garbage.py"}
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
WHERE_RELEASES_ARE_MADE = "pipeline/publishing/"
ALSO_IN_A_PROMOTION = {
    "ecr:DescribeImageScanFindings",
    "ecr:DescribeRepositories",
    "sagemaker:ListModelPackages",
}
WHERE_IS_PROMOTED_TO = {"sagemaker:UpdateModelPackage"}
GRANTED_FOR_MORE_THAN_A_CALL = {
    "ecr:BatchCheckLayerAvailability": "docker push",
    "ecr:BatchGetImage": "gh attestation verify",
    "ecr:CompleteLayerUpload": "docker push",
    "ecr:GetDownloadUrlForLayer": "docker pull of the layers that are there",
    "ecr:InitiateLayerUpload": "docker push",
    "ecr:PutImage": "docker push",
    "ecr:UploadLayerPart": "docker push",
    "iam:CreateServiceLinkedRole": "the first scalable target of an account",
    "iam:PassRole": "CreateModel, CreateTrainingJob",
    "inspector2:ListCoverage": "ECR's enhanced scanning",
    "inspector2:ListFindings": "ECR's enhanced scanning",
    "kms:CreateGrant": "CreateEndpoint with endpoint.kms_key",
    "s3:ListBucketMultipartUploads": "list_multipart_uploads",
    "s3:ListMultipartUploadParts": "list_parts",
    "sagemaker:AddTags": "CreateModel and its likes with tags",
    "sagemaker:UpdateEndpointWeightsAndCapacities": "RegisterScalableTarget, which asks for it in the caller's name",
}


def operations(path: Path) -> Iterator[tuple[str, str]]:
    """Yield every (service, operation) that a module names as two literal words beside each other."""
    for node in ast.walk(ast.parse(path.read_text())):
        words = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        texts = [word.value if isinstance(word, ast.Constant) else None for word in words]
        for service, operation in pairwise(texts):
            if isinstance(service, str) and isinstance(operation, str) and operation in known(service):
                yield service, operation


@cache
def known(service: str) -> dict[str, str]:
    """Return the operations of a service by boto3's names; none for a word that is no service."""
    session = botocore.session.get_session()
    is_service = service in session.get_available_services()
    names = session.get_service_model(service).operation_names if is_service else []
    return {xform_name(name): name for name in names}


def modules_of_the_steps() -> list[Path]:
    """List the modules of pipeline/ that run with a deploy role."""
    return [
        path for path in sorted((ROOT / "pipeline").rglob("*.py")) if path.name not in BY_AN_ADMINISTRATOR
    ]


def actions_of_the_steps() -> dict[str, set[str]]:
    """Return the IAM action of each call in pipeline/, with the modules that make it."""
    found: dict[str, set[str]] = {}
    for path in modules_of_the_steps():
        for service, operation in operations(path):
            action = f"{PREFIXES.get(service, service)}:{known(service)[operation]}"
            found.setdefault(OTHERWISE_NAMED.get(action, action), set()).add(str(path.relative_to(ROOT)))
    return found


def test_the_role_that_publishes_may_make_every_call_that_a_step_makes() -> None:
    """A step that calls something new needs it in pipeline/account/cloudformation/deploy-role.yaml."""
    asked = actions_of_the_steps()
    missing = asked.keys() - actions_of(STAGING) - FOR_EVERYBODY - WHERE_IS_PROMOTED_TO

    assert len(asked) > 25
    assert not missing


def test_the_role_that_is_promoted_to_may_make_every_call_but_those_of_publishing() -> None:
    asked = actions_of_the_steps()
    publishing = {
        action
        for action, modules in asked.items()
        if all(module.startswith(WHERE_RELEASES_ARE_MADE) for module in modules)
    }
    needed = asked.keys() - FOR_EVERYBODY - (publishing - ALSO_IN_A_PROMOTION - WHERE_IS_PROMOTED_TO)

    assert not needed - actions_of(PRODUCTION)


@pytest.mark.parametrize("env", [STAGING, PRODUCTION], ids=["staging", "production"])
def test_every_action_that_a_role_has_is_used(env: Environment) -> None:
    """An operation that no module names, by boto3's name, is granted to nobody."""
    words = {
        node.value
        for path in modules_of_the_steps()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    granted = actions_of(env, KEY) - GRANTED_FOR_MORE_THAN_A_CALL.keys()
    unused = {action for action in granted if xform_name(action.partition(":")[2]) not in words}

    assert unused <= {"s3:ListBucket"}  # list_objects_v2


# ------------------------------------------------------------------------------- what each role may do

Asked = tuple[str, str, dict[str, str]]
OWN: list[Asked] = [  # of an environment, on what is its own; {name}: staging, production
    ("sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/digits-{{name}}", {}),
    ("sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/digits-{{name}}-capacity", {}),
    ("sagemaker:DeleteEndpoint", f"{SAGEMAKER}:endpoint/digits-{{name}}-baseline", {}),
    ("sagemaker:CreateModel", f"{SAGEMAKER}:model/digits-{{name}}-a-b", {}),
    ("sagemaker:DeleteModel", f"{SAGEMAKER}:model/digits-{{name}}-a-b", {}),
    ("sagemaker:AddTags", f"{SAGEMAKER}:model/digits-{{name}}-a-b", {}),
    ("cloudwatch:PutMetricAlarm", f"{ALARM}:digits-{{name}}/c/slow-requests", {}),
    ("cloudwatch:PutMetricAlarm", f"{ALARM}:digits-{{name}}/live/slow-requests", {}),
    ("cloudwatch:DeleteAlarms", f"{ALARM}:digits-{{name}}/c/slow-requests", {}),
    ("logs:GetLogEvents", f"{LOGS}/Endpoints/digits-{{name}}:log-stream:AllTraffic/i-1", {}),
    ("s3:PutObject", f"{BUCKET}/evidence/abc/{{name}}.json", {}),
    ("s3:PutObject", f"{BUCKET}/evidence/abc/{{name}}-promotion.json", {}),
    ("s3:PutObject", f"{BUCKET}/deployments/{{name}}/1.json", {}),
    ("s3:DeleteObject", f"{BUCKET}/locks/{{name}}.json", {}),
    ("s3:PutObject", f"{BUCKET}/audit/{{name}}/1.json", {}),
]
OF_BOTH = [
    ("sagemaker:DescribeEndpoint", f"{SAGEMAKER}:endpoint/digits-production", {}),
    ("sagemaker:DescribeEndpoint", f"{SAGEMAKER}:endpoint/digits-staging", {}),
    ("s3:GetObject", f"{BUCKET}/evidence/abc/production.json", {}),
    ("s3:GetObject", f"{BUCKET}/weights/abc/model.tar.gz", {}),
    ("ecr:DescribeImageScanFindings", IMAGES, {}),
    ("ecr:BatchGetImage", IMAGES, {}),
    ("inspector2:ListFindings", "*", {}),
    ("inspector2:ListCoverage", "*", {}),
    ("iam:SimulatePrincipalPolicy", "arn:aws:iam::123456789012:role/digits-sagemaker", {}),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/digits-sagemaker", {"iam__PassedToService": "sagemaker.amazonaws.com"}),
    ("application-autoscaling:RegisterScalableTarget", TARGET, SCALING),
    ("application-autoscaling:PutScalingPolicy", TARGET, SCALING),
    ("application-autoscaling:DeregisterScalableTarget", TARGET, SCALING),
    ("sns:Publish", "arn:aws:sns:eu-west-1:123456789012:digits-alerts", {}),
]  # fmt: skip
ONCE = {"s3__if_none_match": "*", "s3__ObjectCreationOperation": "true"}
OVERWRITES = {"s3__ObjectCreationOperation": "true"}
PART = {"s3__ObjectCreationOperation": "false"}
WHERE_PUBLISHED = [
    ("ecr:PutImage", IMAGES, {}),
    ("ecr:InitiateLayerUpload", IMAGES, {}),
    ("s3:PutObject", f"{BUCKET}/weights/abc/model.tar.gz", ONCE),
    ("s3:PutObject", f"{BUCKET}/weights/abc/model.tar.gz", PART),
    ("s3:AbortMultipartUpload", f"{BUCKET}/weights/abc/model.tar.gz", {}),
    ("s3:PutObject", f"{BUCKET}/{release_key('a-b')}", ONCE),
    ("s3:PutObject", f"{BUCKET}/{metrics_key('a-b')}", ONCE),
    ("s3:PutObject", f"{BUCKET}/{sbom_key('t')}", OVERWRITES),
    ("s3:PutObject", f"{BUCKET}/{provenance_key('t')}", OVERWRITES),
    ("s3:PutObject", f"{BUCKET}/weights-seen/f.json", OVERWRITES),
    ("sagemaker:CreateModelPackage", f"{SAGEMAKER}:model-package/digits/1", {}),
    ("sagemaker:DescribeTrainingJob", f"{SAGEMAKER}:training-job/digits-0123456789ab", {}),
]
WHERE_TRAINED = [
    ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/digits-0123456789ab", {}),
    ("sagemaker:AddTags", f"{SAGEMAKER}:training-job/digits-0123456789ab", {}),
    ("s3:PutObject", f"{BUCKET}/training/data/f/images.npy", ONCE),
    ("logs:DescribeLogStreams", f"{LOGS}/TrainingJobs", {}),
    ("logs:GetLogEvents", f"{LOGS}/TrainingJobs:log-stream:digits-0123456789ab/algo-1", {}),
]
WHERE_PROMOTED_TO: list[Asked] = [("sagemaker:UpdateModelPackage", f"{SAGEMAKER}:model-package/digits/1", {})]
OF_NEITHER = [
    ("sagemaker:StopTrainingJob", f"{SAGEMAKER}:training-job/digits-0123456789ab", {}),
    ("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/another", {}),
    ("sagemaker:ListTags", f"{SAGEMAKER}:training-job/digits-0123456789ab", {}),
    ("sagemaker:DescribeModelPackage", f"{SAGEMAKER}:model-package/digits/1", {}),
    ("logs:FilterLogEvents", f"{LOGS}/Endpoints/digits-staging", {}),
    ("logs:GetLogEvents", f"{LOGS}/TrainingJobs:log-stream:another/algo-1", {}),
    ("application-autoscaling:PutScalingPolicy", "*", SCALING),
    ("application-autoscaling:PutScalingPolicy", TARGET, {}),
    ("application-autoscaling:RegisterScalableTarget", TARGET, SCALING | {"application_autoscaling__service_namespace": "ecs"}),
    ("application-autoscaling:RegisterScalableTarget", TARGET, SCALING | {"application_autoscaling__scalable_dimension": "sagemaker:variant:DesiredProvisionedConcurrency"}),
    ("sagemaker:DeleteEndpoint", f"{SAGEMAKER}:endpoint/digits-staging-2", {}),
    ("s3:PutObject", f"{BUCKET}/weights/abc/model.tar.gz", OVERWRITES),
    ("s3:PutObject", f"{BUCKET}/{release_key('a-b')}", OVERWRITES),
    ("s3:DeleteObject", f"{BUCKET}/weights/abc/model.tar.gz", {}),
    ("s3:DeleteObject", f"{BUCKET}/{release_key('a-b')}", {}),
    ("s3:DeleteObjectVersion", f"{BUCKET}/weights/abc/model.tar.gz", {}),
    ("s3:GetObject", "arn:aws:s3:::another/weights/abc/model.tar.gz", {}),
    ("s3:PutBucketPolicy", BUCKET, {}),
    ("ecr:BatchDeleteImage", IMAGES, {}),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/admin", {"iam__PassedToService": "sagemaker.amazonaws.com"}),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/digits-sagemaker", {"iam__PassedToService": "ec2.amazonaws.com"}),
    ("iam:CreateRole", "arn:aws:iam::123456789012:role/digits-sagemaker", {}),
    ("kms:CreateGrant", KEY, {"kms__GrantIsForAWSResource": "true"}),
    ("sns:Publish", "arn:aws:sns:eu-west-1:123456789012:another", {}),
]  # fmt: skip
CASES: list[tuple[Asked, bool, bool]] = [
    *((asked, True, True) for asked in OF_BOTH),
    *((asked, True, False) for asked in (*WHERE_PUBLISHED, *WHERE_TRAINED)),
    *((asked, False, True) for asked in WHERE_PROMOTED_TO),
    *((asked, False, False) for asked in OF_NEITHER),
]


@pytest.mark.parametrize(("asked", "staging", "production"), CASES, ids=lambda each: str(each)[:80])
def test_each_role_may_do_its_part_of_the_journey_and_no_more(
    asked: Asked, staging: bool, production: bool
) -> None:
    action, resource, context = asked

    assert may(STAGING, action, resource, **context) is staging
    assert may(PRODUCTION, action, resource, **context) is production


@pytest.mark.parametrize("asked", OWN, ids=lambda each: " ".join(each[:2]))
def test_an_environment_is_changed_by_its_own_role_alone(asked: Asked) -> None:
    action, resource, context = asked
    for env, other in ((STAGING, PRODUCTION), (PRODUCTION, STAGING)):
        assert may(env, action, resource.format(name=env.name), **context)
        assert not may(other, action, resource.format(name=env.name), **context)


MIXED_CASE = STAGING.model_copy(
    update={"endpoint": STAGING.endpoint.model_copy(update={"name": "Digits-Staging"})}
)


@pytest.mark.parametrize("asked", OWN, ids=lambda each: " ".join(each[:2]))
def test_the_name_of_an_endpoint_keeps_its_case_but_in_sagemakers_arns(asked: Asked) -> None:
    """SageMaker's ARNs are in small letters; alarms, logs and keys have the name as it is written."""
    action, resource, context = asked
    named = resource.format(name="staging")
    if not action.startswith("sagemaker:"):
        named = named.replace("digits-staging", "Digits-Staging")

    assert may(MIXED_CASE, action, named, **context)


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
def test_an_environments_own_records_are_written_by_its_role_alone(key: Callable[[Environment], str]) -> None:
    assert may(STAGING, "s3:PutObject", f"{BUCKET}/{key(STAGING)}")
    assert may(MIXED_CASE, "s3:PutObject", f"{BUCKET}/{key(MIXED_CASE)}")
    assert not may(STAGING, "s3:PutObject", f"{BUCKET}/{key(PRODUCTION)}")


def test_a_grant_of_the_key_goes_to_aws_alone_and_of_this_key_alone() -> None:
    another = KEY.replace("1234abcd", "5678abcd")

    assert may(STAGING, "kms:CreateGrant", KEY, kms_key=KEY, kms__GrantIsForAWSResource="true")
    assert not may(STAGING, "kms:CreateGrant", KEY, kms_key=KEY, kms__GrantIsForAWSResource="false")
    assert not may(STAGING, "kms:CreateGrant", another, kms_key=KEY, kms__GrantIsForAWSResource="true")


def test_an_environment_without_a_training_section_trains_nothing() -> None:
    env = STAGING.model_copy(update={"training": None})

    assert not any(may(env, *asked[:2], **asked[2]) for asked in WHERE_TRAINED)
    assert all(may(env, *asked[:2], **asked[2]) for asked in WHERE_PUBLISHED)


@pytest.mark.parametrize("env", [STAGING, PRODUCTION], ids=["staging", "production"])
def test_no_action_is_given_by_a_pattern_or_twice(env: Environment) -> None:
    statements = statements_of(env, KEY)
    given = [
        (action, resource, str(statement.get("Condition")))
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]

    assert not [action for action, *_ in given if "*" in action]
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    assert sorted(given) == sorted(set(given))


def test_only_actions_that_know_no_resource_are_given_on_all() -> None:
    """The Service Authorization Reference names no resource type for these, or only ones that the caller cannot know."""
    everywhere = {
        action
        for statement in statements_of(STAGING, KEY)
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }

    assert {action for action in everywhere if ":Describe" not in action and ":List" not in action} == {
        "cloudwatch:GetMetricData",
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
    }


@pytest.mark.parametrize("env", [STAGING, PRODUCTION], ids=["staging", "production"])
def test_the_policies_fit_into_one_role(env: Environment) -> None:
    """IAM takes 10,240 characters of inline policies on a role, white space not counted."""
    documents = [json.dumps(each, separators=(",", ":")) for each in policies_of(env, KEY).values()]

    assert sum(map(len, documents)) < 10_240
