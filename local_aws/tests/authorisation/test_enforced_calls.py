"""LOCAL_AWS_IAM=enforce: what a role may not do is refused, in the protocol and the words of each service."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import local_aws
from testbed.serving import NO_RETRY, SETTINGS, Serving, refused

pytestmark = pytest.mark.starts_processes

ACCOUNT = "123456789012"
BUCKET = "arn:aws:s3:::owned"
ANYBODY = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "sts:AssumeRole",
}
TO_SAGEMAKER = ANYBODY | {"Principal": {"Service": "sagemaker.amazonaws.com"}}
ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass
class Roles:
    """Roles of an AWS that enforces IAM, and clients with their sessions."""

    aws: local_aws.Running

    def make(
        self, name: str, *statements: dict[str, Any], trust: dict[str, Any] = ANYBODY, **more: Any
    ) -> str:
        iam = self.aws.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), **more)["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
        return str(arn)

    def clients(self, role: str, **session: Any) -> Callable[[str], Any]:
        """Assume a role as the administrator; return a function that makes its clients."""
        given = self.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="session", **session)[
            "Credentials"
        ]
        keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        made = boto3.Session(*keys, region_name="eu-west-1")
        return lambda service: made.client(service, endpoint_url=self.aws.url, config=NO_RETRY)


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    root = tmp_path_factory.mktemp("enforced")
    with local_aws.start(**SETTINGS, iam="enforce", state_dir=root, cache_dir=root) as aws:
        aws.client("s3").create_bucket(
            Bucket="owned", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        aws.client("s3").put_object(Bucket="owned", Key="there", Body=b"content")
        yield Roles(aws)


CALLS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("sagemaker", "list_endpoints", {}, "AccessDeniedException", "sagemaker:ListEndpoints on resource: *"),
    ("iam", "get_role", {"RoleName": "x"}, "AccessDenied", f"iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/x"),
    ("sns", "list_topics", {}, "AuthorizationError", "SNS:ListTopics"),
    ("cloudwatch", "list_metrics", {}, "AccessDenied", "cloudwatch:ListMetrics"),
    ("logs", "describe_log_groups", {}, "AccessDeniedException", "logs:DescribeLogGroups"),
    ("s3", "get_object", {"Bucket": "owned", "Key": "there"}, "AccessDenied", f"s3:GetObject on resource: {BUCKET}/there"),
    ("ec2", "describe_subnets", {}, "UnauthorizedOperation", "ec2:DescribeSubnets"),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "E", "Body": b"{}"}, "AccessDeniedException", f"sagemaker:InvokeEndpoint on resource: arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/e"),
]  # fmt: skip


def test_every_protocol_says_who_may_not_do_what(roles: Roles) -> None:
    client = roles.clients(roles.make("nobody"))
    for service, operation, request, code, what in CALLS:
        text = refused(code, getattr(client(service), operation), **request)

        assert (
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/nobody/session is not authorized to perform: " in text
        )
        assert what.lower() in text.lower()
        assert "because no identity-based policy allows the " in text


def test_what_a_policy_allows_is_done_in_every_protocol(roles: Roles) -> None:
    client = roles.clients(roles.make("everybody", ALLOW_ALL))

    assert client("sagemaker").list_models()["Models"] == []
    assert client("sns").list_topics()["Topics"] == []
    assert client("ec2").describe_subnets()["Subnets"]
    assert "Metrics" in client("cloudwatch").list_metrics()
    assert client("s3").get_object(Bucket="owned", Key="there")["Body"].read() == b"content"
    assert client("sts").get_caller_identity()["Arn"].endswith(":assumed-role/everybody/session")


def test_an_operation_that_is_not_mapped_is_refused(roles: Roles) -> None:
    client = roles.clients(roles.make("mapped", ALLOW_ALL))
    text = refused("NotImplementedByLocalAws", client("s3").select_object_content, Bucket="owned", Key="there", Expression="x", ExpressionType="SQL", InputSerialization={}, OutputSerialization={})  # fmt: skip

    assert "unmapped" in text or "knows no operation" in text


def test_an_object_that_is_absent_is_forbidden_to_who_may_not_list(roles: Roles) -> None:
    reads = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
    blind = roles.clients(roles.make("blind", reads))("s3")
    seeing = roles.clients(
        roles.make("seeing", reads, reads | {"Action": "s3:ListBucket", "Resource": BUCKET})
    )("s3")

    assert blind.get_object(Bucket="owned", Key="there")["Body"].read() == b"content"
    refused("AccessDenied", blind.get_object, Bucket="owned", Key="absent")
    refused("403", blind.head_object, Bucket="owned", Key="absent")
    refused("NoSuchKey", seeing.get_object, Bucket="owned", Key="absent")


def test_the_trust_of_a_role_binds_the_administrator_too(roles: Roles) -> None:
    closed = roles.make("closed", trust=TO_SAGEMAKER)
    text = refused(
        "AccessDenied", roles.aws.client("sts").assume_role, RoleArn=closed, RoleSessionName="session"
    )

    assert f"is not authorized to perform: sts:AssumeRole on resource: {closed}" in text
    assert "because no resource-based policy allows" in text


def test_a_role_assumes_another_by_trust_and_by_its_own_policies(roles: Roles) -> None:
    target = roles.make("target")
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": target}
    granted = roles.clients(roles.make("granted", may))("sts")
    bare = roles.clients(roles.make("bare"))("sts")

    assert granted.assume_role(RoleArn=target, RoleSessionName="session")["AssumedRoleUser"]
    text = refused("AccessDenied", bare.assume_role, RoleArn=target, RoleSessionName="session")
    assert "because no identity-based policy allows the sts:AssumeRole action" in text


def test_session_policies_and_boundaries_bound_a_role(roles: Roles) -> None:
    arn = roles.make("bounded", ALLOW_ALL)
    listing = document({"Effect": "Allow", "Action": "sagemaker:ListModels", "Resource": "*"})
    boundary = roles.aws.client("iam").create_policy(PolicyName="boundary", PolicyDocument=listing)["Policy"][
        "Arn"
    ]
    bound = roles.clients(roles.make("by-boundary", ALLOW_ALL, PermissionsBoundary=boundary))
    session = roles.clients(arn, Policy=listing)

    for client, kind in ((session, "session policy"), (bound, "permissions boundary")):
        assert client("sagemaker").list_models()["Models"] == []
        text = refused("AccessDeniedException", client("sagemaker").list_endpoint_configs)
        assert f"because no {kind} allows the sagemaker:ListEndpointConfigs action" in text


def test_a_buckets_policy_grants_to_one_role_and_denies_another(roles: Roles) -> None:
    friend, foe = roles.make("friend"), roles.make("foe", ALLOW_ALL)
    where = {"Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
    policy = document(
        {"Effect": "Allow", "Principal": {"AWS": friend}, **where},
        {"Effect": "Deny", "Principal": {"AWS": foe}, **where},
    )
    roles.aws.client("s3").put_bucket_policy(Bucket="owned", Policy=policy)

    assert roles.clients(friend)("s3").get_object(Bucket="owned", Key="there")["Body"].read() == b"content"
    text = refused("AccessDenied", roles.clients(foe)("s3").get_object, Bucket="owned", Key="there")
    assert "with an explicit deny in a resource-based policy" in text
    assert roles.aws.client("s3").get_object(Bucket="owned", Key="there")
    roles.aws.client("s3").delete_bucket_policy(Bucket="owned")


def test_a_role_is_passed_to_the_service_of_the_condition_alone(roles: Roles) -> None:
    serving = roles.make("served", trust=TO_SAGEMAKER)

    def passing(to: str) -> dict[str, Any]:
        condition = {"StringEquals": {"iam:PassedToService": to}}
        return {"Effect": "Allow", "Action": "iam:PassRole", "Resource": serving, "Condition": condition}

    making = {"Effect": "Allow", "Action": "sagemaker:CreateModel", "Resource": "*"}
    container = {"Image": "image@sha256:" + "a" * 64}
    model = {"ModelName": "passed", "ExecutionRoleArn": serving, "PrimaryContainer": container}
    wrong = roles.clients(roles.make("passes-to-ec2", making, passing("ec2.amazonaws.com")))("sagemaker")
    right = roles.clients(roles.make("passes-to-sagemaker", making, passing("sagemaker.amazonaws.com")))(
        "sagemaker"
    )

    assert "iam:PassRole" in refused("AccessDeniedException", wrong.create_model, **model)
    assert right.create_model(**model)["ModelArn"]


def test_sagemaker_must_be_let_into_the_role_of_a_model(roles: Roles) -> None:
    sagemaker, container = roles.aws.client("sagemaker"), {"Image": "image@sha256:" + "a" * 64}
    for role in (roles.make("of-somebody"), f"arn:aws:iam::{ACCOUNT}:role/absent"):
        request = {"ModelName": "locked", "ExecutionRoleArn": role, "PrimaryContainer": container}

        assert f"Could not assume role {role}" in refused(
            "ValidationException", sagemaker.create_model, **request
        )


PULLS = {
    "Effect": "Allow",
    "Action": ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
    "Resource": "*",
}  # fmt: skip


READS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}


def test_a_model_whose_data_its_role_may_not_read_is_refused(roles: Roles) -> None:
    role = roles.make("reads-no-weights", PULLS, trust=TO_SAGEMAKER)
    container = {"Image": "image@sha256:" + "a" * 64, "ModelDataUrl": "s3://owned/there"}
    request = {"ModelName": "unread", "ExecutionRoleArn": role, "PrimaryContainer": container}

    text = refused("ValidationException", roles.aws.client("sagemaker").create_model, **request)
    assert text.startswith(
        f'Could not access model data at s3://owned/there. Please ensure that the role "{role}" exists'
    )
    assert 'has "s3:GetObject" permissions' in text


@pytest.mark.parametrize(
    ("name", "left", "reason"),
    [
        ("pulls-nothing", (READS,), "does not have GetAuthorizationToken permission for the image: 'image@sha256:"),
        ("reads-nothing", (PULLS,), 'Failed to download model data for container "container_1" from URL: "s3://owned/there"'),
    ],
)  # fmt: skip
def test_an_endpoint_whose_role_may_no_longer_load_it_fails_with_the_reason(
    roles: Roles, name: str, left: tuple[dict[str, Any], ...], reason: str
) -> None:
    role = roles.make(name, PULLS, READS, trust=TO_SAGEMAKER)
    sagemaker = roles.aws.client("sagemaker")
    container = {"Image": "image@sha256:" + "a" * 64, "ModelDataUrl": "s3://owned/there"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    roles.aws.client("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*left))
    variant = {
        "VariantName": "v",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    serving = Serving(roles.aws)
    found = serving.settled(name)

    assert (found["EndpointStatus"], reason in found["FailureReason"]) == ("Failed", True), found[
        "FailureReason"
    ]
    sagemaker.delete_endpoint(EndpointName=name)


def test_a_stack_is_made_by_the_administrator_alone(roles: Roles) -> None:
    client = roles.clients(roles.make("stacker", ALLOW_ALL))("cloudformation")

    assert "administrator" in refused(
        "NotImplementedByLocalAws", client.create_stack, StackName="s", TemplateBody="{}"
    )


def test_a_call_that_is_not_signed_is_refused(roles: Roles) -> None:
    body = b"Action=ListRoles&Name=AssumeRoleWithWebIdentity"  # the name alone opens nothing
    request = urllib.request.Request(
        f"{roles.aws.url}/", body, {"Content-Type": "application/x-www-form-urlencoded"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)

    with caught.value as error:
        assert (error.code, b"MissingAuthenticationToken" in error.read()) == (403, True)


def test_a_user_is_bound_by_its_own_policies_and_its_groups(roles: Roles) -> None:
    iam = roles.aws.client("iam")
    iam.create_user(UserName="ada")
    iam.create_group(GroupName="readers")
    iam.put_group_policy(
        GroupName="readers",
        PolicyName="p",
        PolicyDocument=document(ALLOW_ALL | {"Action": "sagemaker:ListModels"}),
    )
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="eu-west-1")
    sagemaker = session.client("sagemaker", endpoint_url=roles.aws.url, config=NO_RETRY)

    with pytest.raises(ClientError, match="user/ada is not authorized"):
        sagemaker.list_models()
    iam.add_user_to_group(GroupName="readers", UserName="ada")
    assert "Models" in sagemaker.list_models()


def test_a_deleted_object_is_absent_though_a_version_of_it_is_kept(roles: Roles) -> None:
    s3 = roles.aws.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="kept", Key="deleted", Body=b"content")
    s3.delete_object(Bucket="kept", Key="deleted")
    reads = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::kept/*"}

    refused(
        "AccessDenied",
        roles.clients(roles.make("reads-kept", reads))("s3").get_object,
        Bucket="kept",
        Key="deleted",
    )
