"""Each operation as IAM's actions on resources, by AWS's service authorization reference."""

from typing import Any

import pytest

from local_aws.authorisation.calls import Call
from local_aws.authorisation.condition_keys import require_key
from local_aws.authorisation.operations import questions
from local_aws.authorisation.reference import action
from local_aws.errors import AwsError

PLACE = "eu-west-1:123456789012"
SAGEMAKER = f"arn:aws:sagemaker:{PLACE}"
BUCKET = "arn:aws:s3:::releases"
ROLE = "arn:aws:iam::123456789012:role/serve"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/Digits/variant/All",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


class Existing:
    """Facts of an account with the endpoint Digits, an object, and the role serve below a path."""

    def role_arn(self, name: str) -> str:
        return f"arn:aws:iam::123456789012:role/{'team/' if name == 'serve' else ''}{name}"

    def has_role(self, name: str) -> bool:
        return name == "serve"

    def key_arn(self, given: str) -> str:
        return f"arn:aws:kms:{PLACE}:key/{given.removeprefix('alias/')}"

    def has_object(self, bucket: str, key: str) -> bool:  # noqa: ARG002
        return key == "there"

    def config_of(self, endpoint: str) -> str | None:
        return "Digits-a" if endpoint == "Digits" else None

    def storage_key_of(self, config: str) -> str | None:
        return "alias/storage" if config == "encrypted" else None

    def alarms_of_target(self, scalable: str) -> tuple[str, ...]:
        return (f"TargetTracking-{scalable}-AlarmHigh-1",)


def asked(service: str, operation: str, **parameters: Any) -> list[tuple[str, str]]:
    headers = {name.replace("_", "-"): value for name, value in parameters.pop("headers", {}).items()}
    found = questions(Call(service, operation, parameters, headers), Existing(), {})
    return [(each.action, each.resource) for each in found]


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("sagemaker", "DescribeEndpoint", {"EndpointName": "Digits"}, [("sagemaker:DescribeEndpoint", f"{SAGEMAKER}:endpoint/digits")]),
        ("sagemaker", "ListModels", {}, [("sagemaker:ListModels", "*")]),
        ("sagemaker", "AddTags", {"ResourceArn": f"{SAGEMAKER}:model/a"}, [("sagemaker:AddTags", f"{SAGEMAKER}:model/a")]),
        ("sagemaker", "UpdateEndpoint", {"EndpointName": "a", "EndpointConfigName": "b"}, [("sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint/a"), ("sagemaker:UpdateEndpoint", f"{SAGEMAKER}:endpoint-config/b")]),
        ("sagemaker", "CreateModelPackage", {"ModelPackageGroupName": "digits"}, [("sagemaker:CreateModelPackage", f"{SAGEMAKER}:model-package/digits/*")]),
        ("sagemaker", "UpdateModelPackage", {"ModelPackageArn": f"{SAGEMAKER}:model-package/digits/1"}, [("sagemaker:UpdateModelPackage", f"{SAGEMAKER}:model-package/digits/1")]),
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "Digits"}, [("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/digits")]),
        ("ecr", "DescribeRepositories", {"repositoryNames": ["a", "b"]}, [("ecr:DescribeRepositories", f"arn:aws:ecr:{PLACE}:repository/{each}") for each in "ab"]),
        ("ecr", "DescribeRepositories", {}, [("ecr:DescribeRepositories", f"arn:aws:ecr:{PLACE}:repository/*")]),
        ("ecr", "GetAuthorizationToken", {}, [("ecr:GetAuthorizationToken", "*")]),
        ("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a/b"]}, [("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{PLACE}:alarm:a/b")]),
        ("cloudwatch", "DescribeAlarms", {}, [("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{PLACE}:alarm:*")]),
        ("cloudwatch", "PutMetricData", {"Namespace": "Releases"}, [("cloudwatch:PutMetricData", "*")]),
        ("logs", "DescribeLogStreams", {"logGroupName": "/a/b"}, [("logs:DescribeLogStreams", f"arn:aws:logs:{PLACE}:log-group:/a/b:log-stream:")]),
        ("logs", "GetLogEvents", {"logGroupName": "/a", "logStreamName": "s/1"}, [("logs:GetLogEvents", f"arn:aws:logs:{PLACE}:log-group:/a:log-stream:s/1")]),
        ("service-quotas", "ListServiceQuotas", {"ServiceCode": "sagemaker"}, [("servicequotas:ListServiceQuotas", "*")]),
        ("iam", "GetRole", {"RoleName": "serve"}, [("iam:GetRole", "arn:aws:iam::123456789012:role/team/serve")]),
        ("iam", "SimulatePrincipalPolicy", {"PolicySourceArn": ROLE}, [("iam:SimulatePrincipalPolicy", ROLE)]),
        ("kms", "DescribeKey", {"KeyId": "alias/one"}, [("kms:DescribeKey", f"arn:aws:kms:{PLACE}:key/one")]),
        ("sns", "Publish", {"TopicArn": f"arn:aws:sns:{PLACE}:alerts"}, [("sns:Publish", f"arn:aws:sns:{PLACE}:alerts")]),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, [("sts:AssumeRole", ROLE)]),
        ("sts", "GetCallerIdentity", {}, []),
        ("s3", "HeadObject", {"Bucket": "releases", "Key": "there"}, [("s3:GetObject", f"{BUCKET}/there")]),
        ("s3", "GetObject", {"Bucket": "releases", "Key": "absent"}, [("s3:GetObject", f"{BUCKET}/absent"), ("s3:ListBucket", BUCKET)]),
        ("s3", "GetObject", {"Bucket": "releases", "Key": "there", "versionId": "1"}, [("s3:GetObjectVersion", f"{BUCKET}/there")]),
        ("s3", "ListObjectsV2", {"Bucket": "releases"}, [("s3:ListBucket", BUCKET)]),
        ("s3", "UploadPart", {"Bucket": "releases", "Key": "k"}, [("s3:PutObject", f"{BUCKET}/k")]),
        ("s3", "ListParts", {"Bucket": "releases", "Key": "k"}, [("s3:ListMultipartUploadParts", f"{BUCKET}/k")]),
        ("s3", "ListMultipartUploads", {"Bucket": "releases"}, [("s3:ListBucketMultipartUploads", BUCKET)]),
        ("s3", "CopyObject", {"Bucket": "releases", "Key": "k", "headers": {"x_amz_copy_source": "/other/a%20b"}}, [("s3:GetObject", "arn:aws:s3:::other/a b"), ("s3:PutObject", f"{BUCKET}/k")]),
        ("s3", "PutObject", {"Bucket": "releases", "Key": "k", "headers": {"if_match": "x"}}, [("s3:PutObject", f"{BUCKET}/k"), ("s3:GetObject", f"{BUCKET}/k")]),
        ("s3", "PutBucketEncryption", {"Bucket": "releases"}, [("s3:PutEncryptionConfiguration", BUCKET)]),
        ("s3", "ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
    ],
    ids=lambda each: str(each)[:60],
)  # fmt: skip
def test_an_operation_asks_for_its_actions(
    service: str, operation: str, parameters: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert asked(service, operation, **parameters) == expected


def test_several_objects_are_deleted_one_by_one() -> None:
    objects = [{"Key": "a"}, {"Key": "b", "VersionId": "1"}]

    assert asked("s3", "DeleteObjects", Bucket="releases", Delete={"Objects": objects}) == [
        ("s3:DeleteObject", f"{BUCKET}/a"),
        ("s3:DeleteObjectVersion", f"{BUCKET}/b"),
    ]


def test_making_a_model_passes_its_role_and_gives_it_tags() -> None:
    tags = [{"Key": "team", "Value": "ml"}]

    assert asked("sagemaker", "CreateModel", ModelName="A", ExecutionRoleArn=ROLE, Tags=tags) == [
        ("sagemaker:CreateModel", f"{SAGEMAKER}:model/a"),
        ("iam:PassRole", ROLE),
        ("sagemaker:AddTags", f"{SAGEMAKER}:model/a"),
    ]


def test_the_service_that_gets_a_passed_role_is_a_condition_key() -> None:
    call = Call("sagemaker", "CreateTrainingJob", {"TrainingJobName": "a", "RoleArn": ROLE})
    passing = questions(call, Existing(), {})[1]

    assert (passing.action, passing.context["iam:passedtoservice"]) == (
        "iam:PassRole",
        ["sagemaker.amazonaws.com"],
    )


def test_a_scalable_target_is_registered_in_its_callers_name() -> None:
    linked = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com"

    assert asked("application-autoscaling", "RegisterScalableTarget", **TARGET) == [
        ("application-autoscaling:RegisterScalableTarget", f"arn:aws:application-autoscaling:{PLACE}:scalable-target/*"),
        ("sagemaker:DescribeEndpoint", f"{SAGEMAKER}:endpoint/digits"),
        ("sagemaker:DescribeEndpointConfig", f"{SAGEMAKER}:endpoint-config/digits-a"),
        ("sagemaker:UpdateEndpointWeightsAndCapacities", f"{SAGEMAKER}:endpoint/digits"),
        ("iam:CreateServiceLinkedRole", f"arn:aws:iam::123456789012:role/{linked}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"),
    ]  # fmt: skip


def test_target_tracking_makes_and_deletes_its_alarms_in_its_callers_name() -> None:
    policy = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling"}
    made = asked("application-autoscaling", "PutScalingPolicy", **TARGET, **policy)
    deleted = asked("application-autoscaling", "DeleteScalingPolicy", **TARGET, PolicyName="p")

    assert [name for name, _ in made[1:]] == ["cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"]
    assert deleted[1][0] == "cloudwatch:DeleteAlarms"
    assert deleted[1][1].endswith(":alarm:TargetTracking-endpoint/Digits/variant/All-AlarmHigh-1")


def test_an_endpoint_with_a_storage_key_needs_a_grant_of_it() -> None:
    found = asked("sagemaker", "CreateEndpoint", EndpointName="a", EndpointConfigName="encrypted")

    assert found[-1] == ("kms:CreateGrant", f"arn:aws:kms:{PLACE}:key/storage")
    assert "kms:CreateGrant" not in dict(
        asked("sagemaker", "CreateEndpoint", EndpointName="a", EndpointConfigName="b")
    )


def test_condition_keys_come_from_the_request() -> None:
    headers = {"if-none-match": "*", "x-amz-server-side-encryption": "AES256"}
    put = Call("s3", "PutObject", {"Bucket": "b", "Key": "k"}, headers)
    part = Call("s3", "UploadPart", {"Bucket": "b", "Key": "k"}, headers)
    scaled = Call("application-autoscaling", "PutScalingPolicy", TARGET)
    (of_put,), (of_part,), (of_scaled, *_) = (
        questions(each, Existing(), {"aws:principaltag/team": ["ml"]}) for each in (put, part, scaled)
    )

    assert of_put.context["s3:if-none-match"] == ["*"]
    assert of_put.context["s3:objectcreationoperation"] == ["true"]
    assert of_put.context["aws:principaltag/team"] == ["ml"]
    assert of_part.context["s3:objectcreationoperation"] == ["false"]
    assert of_scaled.context["application-autoscaling:service-namespace"] == ["sagemaker"]


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("sagemaker", "InventEndpoint", {}),
        ("sagemaker", "DeleteEndpoint", {}),  # its endpoint is not named
        ("s3", "SelectObjectContent", {"Bucket": "b", "Key": "k"}),
        ("ssm", "StartAutomationExecution", {"RoleArn": ROLE}),
        ("kms", "CreateKey", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    ],
)
def test_what_is_not_mapped_is_refused(service: str, operation: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(AwsError, match="unmapped"):
        asked(service, operation, **parameters)


@pytest.mark.parametrize(
    ("service", "name", "key"),
    [
        ("s3", "GetObject", "aws:ResourceTag/team"),
        ("s3", "GetObject", "s3:ExistingObjectTag/team"),
        ("sagemaker", "CreateEndpointConfig", "sagemaker:InstanceTypes"),
        ("sagemaker", "CreateModel", "sagemaker:VpcSubnets"),
    ],
)
def test_a_condition_key_that_aws_would_set_and_this_aws_does_not_is_refused(
    service: str, name: str, key: str
) -> None:
    found = action(service, name)
    assert found is not None

    with pytest.raises(AwsError, match="not imitated"):
        require_key(key, found)


@pytest.mark.parametrize(
    "key", ["aws:SourceVpc", "aws:RequestTag/a", "s3:prefix", "sagemaker:InstanceTypes", "ec2:Region"]
)
def test_a_condition_key_that_aws_would_not_set_either_is_absent(key: str) -> None:
    found = action("s3", "GetObject")
    assert found is not None

    require_key(key, found)
