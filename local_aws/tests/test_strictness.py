"""Operations that are not imitated are errors in the caller's protocol: never a success, never HTML."""

import hashlib
import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import local_aws
from testbed.serving import NO_RETRY, Serving, refused

pytestmark = pytest.mark.starts_processes

FORECAST = {
    "ServiceNamespace": "sagemaker",
    "PolicyName": "nightly",
    "StartTime": 1_800_000_000,
    "EndTime": 1_800_003_600,
    "ResourceId": "endpoint/digits/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("sagemaker", "create_processing_job", {}),  # moto would call it Completed at once
        ("sagemaker", "list_inference_components", {}),  # unknown to moto
        ("application-autoscaling", "get_predictive_scaling_forecast", FORECAST),
        ("ecr", "start_image_scan", {"repositoryName": "digits", "imageId": {"imageTag": "a"}}),
        ("resourcegroupstaggingapi", "get_resources", {}),  # moto would know nothing of the endpoints
        ("logs", "list_anomalies", {}),  # json
        ("cloudwatch", "describe_alarm_contributors", {"AlarmName": "a"}),  # cbor
        (
            "iam",
            "generate_service_last_accessed_details",
            {"Arn": "arn:aws:iam::123456789012:role/a"},
        ),  # query
        ("lambda", "list_code_signing_configs", {}),  # rest-json
    ],
)
def test_an_operation_that_is_not_imitated_is_a_clear_error_at_once(
    aws: local_aws.Running, service: str, operation: str, request_: dict[str, Any]
) -> None:
    client = aws.client(service, config=NO_RETRY.merge(_unchecked()))
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**request_)

    error = caught.value.response
    assert error["Error"]["Code"] == "NotImplementedByLocalAws", error
    assert "not imitated" in error["Error"]["Message"]
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_field_that_the_api_does_not_have_is_refused(aws: local_aws.Running) -> None:
    headers = {"X-Amz-Target": "SageMaker.CreateModel", "Content-Type": "application/x-amz-json-1.1"}
    body = json.dumps({"ModelName": "m", "PrimaryContainr": {"Image": "i"}}).encode()
    request = urllib.request.Request(aws.url, body, headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)

    with caught.value as answer:
        error = json.load(answer)
    assert error["__type"] == "ValidationException"
    assert "PrimaryContainr" in error["message"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"VariantName": "not_allowed"},
            "failed to satisfy constraint: Member must satisfy regular expression",
        ),
        (
            {"InstanceType": "ml.imaginary"},
            "Value 'ml.imaginary' at 'productionVariants.1.member.instanceType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ml.",
        ),
        ({"InitialInstanceCount": 0}, "InitialInstanceCount"),
        ({"VolumeSizeInGB": 513}, "Member must have value less than or equal to 512"),
    ],
)
def test_the_limits_of_the_api_are_enforced(serving: Serving, change: dict[str, Any], sentence: str) -> None:
    client = serving.aws.client("sagemaker", config=_unchecked())
    variant = {**serving.variant(serving.model()), **change}
    call = client.create_endpoint_config

    assert sentence in refused(
        "ValidationException", call, EndpointConfigName="c", ProductionVariants=[variant]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"ManagedInstanceScaling": {"Status": "ENABLED"}},
        {"RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE"}},
        {"AcceleratorType": "ml.eia2.medium"},
    ],
)
def test_a_field_of_the_api_that_is_not_imitated_is_refused(serving: Serving, change: dict[str, Any]) -> None:
    variant = {**serving.variant(serving.model()), **change}
    call = serving.sagemaker.create_endpoint_config

    refused("NotImplementedByLocalAws", call, EndpointConfigName="c", ProductionVariants=[variant])


def test_an_instance_type_without_figures_is_refused(serving: Serving) -> None:
    variant = {**serving.variant(serving.model()), "InstanceType": "ml.p5.48xlarge"}
    call = serving.sagemaker.create_endpoint_config

    assert "ml.p5.48xlarge" in refused(
        "ValidationException", call, EndpointConfigName="c", ProductionVariants=[variant]
    )


def test_a_role_that_does_not_exist_cannot_be_assumed(aws: local_aws.Running) -> None:
    call = aws.client("sts").assume_role
    role = "arn:aws:iam::123456789012:role/absent"

    assert role in refused("AccessDenied", call, RoleArn=role, RoleSessionName="session")


def test_the_name_of_a_repository_has_two_characters_at_least(aws: local_aws.Running) -> None:
    call = aws.client("ecr", config=_unchecked()).create_repository

    assert "repositoryName" in refused("InvalidParameterException", call, repositoryName="o")


def test_moto_cannot_be_told_to_forget_its_half(aws: local_aws.Running) -> None:
    groups = aws.client("sagemaker")
    groups.create_model_package_group(ModelPackageGroupName="kept")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{aws.url}/moto-api/reset", method="POST"), timeout=10)

    with caught.value as answer:
        assert json.load(answer)["__type"] == "NotImplementedByLocalAws"
    assert groups.describe_model_package_group(ModelPackageGroupName="kept")


def test_shadow_variants_are_refused(serving: Serving) -> None:
    variants = [serving.variant(serving.model())]
    call = serving.sagemaker.create_endpoint_config
    request = {"ProductionVariants": variants, "ShadowProductionVariants": variants}

    refused("NotImplementedByLocalAws", call, EndpointConfigName="c", **request)


def test_another_region_is_refused_with_the_fix(aws: local_aws.Running) -> None:
    session = boto3.Session("key", "secret", region_name="us-east-1")
    client = session.client("sagemaker", endpoint_url=aws.url)

    assert "AWS_DEFAULT_REGION" in refused("NotImplementedByLocalAws", client.list_endpoints)


def test_a_large_object_passes_through_to_s3_and_back(aws: local_aws.Running) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="large", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    content = bytes(range(256)) * 4096 * 25
    s3.put_object(Bucket="large", Key="a key/with spaces+ü", Body=content, ContentEncoding="gzip")

    answer = s3.get_object(Bucket="large", Key="a key/with spaces+ü")
    assert hashlib.sha256(answer["Body"].read()).digest() == hashlib.sha256(content).digest()
    assert answer["ContentEncoding"] == "gzip"
    assert s3.head_object(Bucket="large", Key="a key/with spaces+ü")["ContentLength"] == len(content)
    refused("NoSuchKey", s3.get_object, Bucket="large", Key="other")


def test_the_model_registry_keeps_a_release(aws: local_aws.Running) -> None:
    """The Model Registry is moto's; what a release needs of it works."""
    client = aws.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="digits")
    arn = client.create_model_package(
        ModelPackageGroupName="digits",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": "digits@sha256:0", "ModelDataUrl": "s3://bucket/model.tar.gz"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={"release": "one"},
    )["ModelPackageArn"]
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"verdict": "passed"})
    group = client.describe_model_package_group(ModelPackageGroupName="digits")["ModelPackageGroupArn"]
    client.add_tags(ResourceArn=group, Tags=[{"Key": "team", "Value": "one"}])

    (listed,) = client.list_model_packages(ModelPackageGroupName="digits")["ModelPackageSummaryList"]
    described = client.describe_model_package(ModelPackageName=listed["ModelPackageArn"])
    assert described["ModelPackageVersion"] == 1
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["InferenceSpecification"]["Containers"][0]["Image"] == "digits@sha256:0"
    assert described["CustomerMetadataProperties"] == {"release": "one", "verdict": "passed"}
    assert client.list_tags(ResourceArn=group)["Tags"] == [{"Key": "team", "Value": "one"}]


def _unchecked() -> Any:
    return Config(parameter_validation=False)
