"""Make the resources that all environments share: ECR repository, bucket, execution role, model group."""

import json
import logging
from typing import Any

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.config import AwsPlace
from pipeline.errors import WrongAccount
from pipeline.model import Model
from pipeline.run import Run

log = logging.getLogger(__name__)

POLICY = "serve-releases"
BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class BootstrapResult(Model):
    """The shared resources, and the number of calls that were made."""

    made: int
    repository: str
    bucket: str
    execution_role: str
    model_package_group: str


def require_account(run: Run) -> None:
    """Return when the credentials belong to the environment's account. Raises WrongAccount."""
    account = run.aws.account_id()
    if account != run.env.aws.account_id:
        raise WrongAccount(
            f"These credentials belong to account {account}; environment {run.env.name} lives in "
            f"{run.env.aws.account_id}.",
            fix=f"Use credentials of {run.env.aws.account_id}, or correct aws.account_id in "
            f"config/{run.env.name}.yaml.",
        )


def bootstrap(run: Run) -> BootstrapResult:
    """Make missing resources and correct those that differ."""
    place = run.env.aws
    calls = [
        *_repository_calls(place, run.aws),
        *_bucket_calls(place, run.aws),
        *_role_calls(place, run.aws),
        *_group_calls(place, run.aws),
    ]
    run.apply(calls)
    if not calls:
        log.info("everything is there: no calls planned")
    return BootstrapResult(
        made=len(calls),
        repository=place.repository,
        bucket=place.bucket,
        execution_role=place.execution_role_arn,
        model_package_group=place.model_package_group,
    )


def _repository_calls(place: AwsPlace, aws: AwsClient) -> list[Call]:
    name = place.repository
    found = aws.find("ecr", "describe_repositories", repositoryNames=[name])
    if found is None:
        params = {
            "repositoryName": name,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
        }
        return [Call("ecr", "create_repository", params, f"create ECR repository {name}, tags immutable")]
    if found["repositories"][0]["imageTagMutability"] != "IMMUTABLE":
        params = {"repositoryName": name, "imageTagMutability": "IMMUTABLE"}
        return [Call("ecr", "put_image_tag_mutability", params, f"make the tags of {name} immutable")]
    return []


def _bucket_calls(place: AwsPlace, aws: AwsClient) -> list[Call]:
    bucket = place.bucket
    is_new = aws.find("s3", "head_bucket", Bucket=bucket) is None
    calls = [_new_bucket(place)] if is_new else []
    if is_new or not _is_private(bucket, aws):
        params = {"Bucket": bucket, "PublicAccessBlockConfiguration": BLOCKED}
        calls.append(Call("s3", "put_public_access_block", params, f"block public access to {bucket}"))
    if is_new or aws.read("s3", "get_bucket_versioning", Bucket=bucket).get("Status") != "Enabled":
        enabled = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}
        calls.append(Call("s3", "put_bucket_versioning", enabled, f"keep versions in {bucket}"))
    return calls


def _new_bucket(place: AwsPlace) -> Call:
    params: dict[str, Any] = {"Bucket": place.bucket}
    if place.region != "us-east-1":  # the one region that must not be named
        params["CreateBucketConfiguration"] = {"LocationConstraint": place.region}
    return Call("s3", "create_bucket", params, f"create bucket {place.bucket}")


def _is_private(bucket: str, aws: AwsClient) -> bool:
    found = aws.find("s3", "get_public_access_block", Bucket=bucket) or {}
    return bool(found.get("PublicAccessBlockConfiguration") == BLOCKED)


def _role_calls(place: AwsPlace, aws: AwsClient) -> list[Call]:
    name, policy = place.execution_role, execution_policy(place)
    is_new = aws.find("iam", "get_role", RoleName=name) is None
    calls = []
    if is_new:
        params = {
            "RoleName": name,
            "AssumeRolePolicyDocument": json.dumps(trust_policy()),
            "Description": "What SageMaker may do when it serves a release",
        }
        calls.append(Call("iam", "create_role", params, f"create execution role {name}"))
    found = None if is_new else aws.find("iam", "get_role_policy", RoleName=name, PolicyName=POLICY)
    if found is None or found["PolicyDocument"] != policy:
        params = {"RoleName": name, "PolicyName": POLICY, "PolicyDocument": json.dumps(policy)}
        calls.append(Call("iam", "put_role_policy", params, f"put policy {POLICY} on {name}"))
    return calls


def _group_calls(place: AwsPlace, aws: AwsClient) -> list[Call]:
    name = place.model_package_group
    found = aws.find("sagemaker", "describe_model_package_group", ModelPackageGroupName=name)
    if found is not None:
        return []
    params = {"ModelPackageGroupName": name, "ModelPackageGroupDescription": "Releases, one version each"}
    return [Call("sagemaker", "create_model_package_group", params, f"create model group {name}")]


def trust_policy() -> dict[str, Any]:
    """Return the trust policy that lets only SageMaker assume the execution role."""
    principal = {"Service": "sagemaker.amazonaws.com"}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


def execution_policy(place: AwsPlace) -> dict[str, Any]:
    """Return the least privileges for training and serving a release.

    They cover data, weights, image, logs, metrics, captured requests and the alarms of a rollback.
    """
    bucket = f"arn:aws:s3:::{place.bucket}"
    within = f"{place.region}:{place.account_id}"
    repository = f"arn:aws:ecr:{within}:repository/{place.repository}"
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    write_logs = [f"logs:{what}" for what in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams")]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow(["s3:GetObject"], [f"{bucket}/weights/*", f"{bucket}/training/*"]),
            _allow(["s3:PutObject"], [f"{bucket}/training/jobs/*", f"{bucket}/captured/*"]),
            _allow(["s3:ListBucket"], bucket),
            _allow(pull, repository),
            _allow(["ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"], "*"),
            _allow(["cloudwatch:DescribeAlarms"], f"arn:aws:cloudwatch:{within}:alarm:*"),
            _allow([*write_logs, "logs:PutLogEvents"], f"arn:aws:logs:{within}:log-group:/aws/sagemaker/*"),
        ],
    }


def _allow(actions: list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}
