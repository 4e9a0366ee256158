"""Several accounts and Regions behind one front door, each with its own resources, and policies between them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

import local_aws
from local_aws.testing import wait_until
from testbed.serving import NO_RETRY, SETTINGS, refused

pytestmark = pytest.mark.starts_processes

STAGING, PRODUCTION = "123456789012", "210987654321"
REGIONS = {STAGING: "eu-west-1", PRODUCTION: "eu-central-1"}
BUCKET = "releases-of-staging"
Client = Callable[[str], Any]


def statement(action: str | list[str], resource: str | None = "*", **more: Any) -> dict[str, Any]:
    given = {"Effect": "Allow", "Action": action, **more}
    return given if resource is None else given | {"Resource": resource}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_aws.Running]:
    root = tmp_path_factory.mktemp("accounts")
    settings = SETTINGS | {"iam": "enforce", "regions": tuple(REGIONS.values())}
    with local_aws.start(**settings, state_dir=root, cache_dir=root) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket=BUCKET, Key="release.json", Body=b"{}")
        yield running


@pytest.fixture
def clients(aws: local_aws.Running) -> Callable[[str], Client]:
    """Make clients of an account's administrator, in the account's Region."""

    def of(account: str) -> Client:
        return lambda service: aws.client(
            service, account=account, region_name=REGIONS[account], config=NO_RETRY
        )

    return of


@pytest.fixture
def role(aws: local_aws.Running, clients: Callable[[str], Client]) -> Callable[..., tuple[str, Client]]:
    """Make a role in an account, assume it, and return its ARN with clients of the session."""

    def make(account: str, name: str, *statements: dict[str, Any], trusts: str = "") -> tuple[str, Client]:
        iam = clients(account)("iam")
        trust = statement("sts:AssumeRole", None, Principal={"AWS": f"arn:aws:iam::{trusts or account}:root"})
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
        return str(arn), session(aws, clients(trusts or account)("sts"), str(arn), REGIONS[account])

    return make


def session(aws: local_aws.Running, sts: Any, role: str, region: str) -> Client:
    given = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    made = boto3.Session(*keys, region_name=region)
    return lambda service: made.client(service, endpoint_url=aws.url, config=NO_RETRY)


@pytest.mark.parametrize("account", [STAGING, PRODUCTION])
def test_the_credentials_decide_the_account(
    clients: Callable[[str], Client], role: Callable[..., tuple[str, Client]], account: str
) -> None:
    arn, assumed = role(account, f"reader-{account}", statement("*"))

    assert clients(account)("sts").get_caller_identity()["Account"] == account
    assert assumed("sts").get_caller_identity()["Account"] == account
    assert arn == f"arn:aws:iam::{account}:role/reader-{account}"
    assert assumed("iam").get_role(RoleName=f"reader-{account}")["Role"]["Arn"] == arn


def test_accounts_share_no_models_alarms_targets_topics_or_repositories(
    clients: Callable[[str], Client], role: Callable[..., tuple[str, Client]]
) -> None:
    trust = statement("sts:AssumeRole", None, Principal={"Service": "sagemaker.amazonaws.com"})
    for account in (STAGING, PRODUCTION):
        client = clients(account)
        executes = client("iam").create_role(RoleName="executes", AssumeRolePolicyDocument=document(trust))
        container = {"Image": f"{account}.dkr.ecr.{REGIONS[account]}.amazonaws.com/digits:1"}
        made = client("sagemaker").create_model(
            ModelName="same", PrimaryContainer=container, ExecutionRoleArn=executes["Role"]["Arn"]
        )
        assert made["ModelArn"] == f"arn:aws:sagemaker:{REGIONS[account]}:{account}:model/same"
        client("cloudwatch").put_metric_data(
            Namespace="Own", MetricData=[{"MetricName": f"of-{account}", "Value": 1.0}]
        )
        client("ecr").create_repository(repositoryName="digits")

    for account in (STAGING, PRODUCTION):
        client = clients(account)
        assert len(client("sagemaker").list_models()["Models"]) == 1
        metrics = client("cloudwatch").list_metrics(Namespace="Own")["Metrics"]
        assert [each["MetricName"] for each in metrics] == [f"of-{account}"]
        assert len(client("ecr").describe_repositories()["repositories"]) == 1


def test_a_role_of_another_account_cannot_be_passed(
    clients: Callable[[str], Client], role: Callable[..., tuple[str, Client]]
) -> None:
    trust = statement("sts:AssumeRole", None, Principal={"Service": "sagemaker.amazonaws.com"})
    iam = clients(PRODUCTION)("iam")
    other = iam.create_role(RoleName="other", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]

    text = refused(
        "ValidationException",
        clients(STAGING)("sagemaker").create_model,
        ModelName="m",
        PrimaryContainer={"Image": "x/y:1"},
        ExecutionRoleArn=other,
    )
    assert text.startswith(f"Could not assume role {other}")


def test_an_alarm_of_the_other_account_is_judged_by_its_own_metrics(clients: Callable[[str], Client]) -> None:
    cloudwatch = clients(PRODUCTION)("cloudwatch")
    where = {"Namespace": "Own", "MetricName": "high"}
    rule = {"Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0}
    compare = {"ComparisonOperator": "GreaterThanThreshold"}
    for account in (STAGING, PRODUCTION):
        clients(account)("cloudwatch").put_metric_alarm(AlarmName="high", **where, **rule, **compare)

    def state(account: str) -> str:
        found = clients(account)("cloudwatch").describe_alarms(AlarmNames=["high"])["MetricAlarms"]
        return str(found[0]["StateValue"])

    def is_high() -> bool:
        cloudwatch.put_metric_data(Namespace="Own", MetricData=[{"MetricName": "high", "Value": 5.0}])
        return state(PRODUCTION) == "ALARM"

    wait_until(is_high, "the alarm of production in ALARM")
    assert state(STAGING) != "ALARM"


def test_endpoints_of_one_name_serve_in_each_account(
    aws: local_aws.Running, clients: Callable[[str], Client]
) -> None:
    for account in (STAGING, PRODUCTION):
        create_endpoint(clients(account), account)
    for account, requests in ((STAGING, 1), (PRODUCTION, 3)):
        runtime = clients(account)("sagemaker-runtime")
        for _ in range(requests):
            answer = runtime.invoke_endpoint(EndpointName="twin", Body=b"{}")
            assert f"release={account}" in answer["CustomAttributes"]

    counted = {
        each["account"]: each["requests"] for each in aws.status()["endpoints"] if each["name"] == "twin"
    }
    assert counted == {STAGING: {"twin": {"200": 1}}, PRODUCTION: {"twin": {"200": 3}}}
    arn = clients(PRODUCTION)("sagemaker").describe_endpoint(EndpointName="twin")["EndpointArn"]
    assert arn == f"arn:aws:sagemaker:eu-central-1:{PRODUCTION}:endpoint/twin"
    clients(STAGING)("sagemaker").delete_endpoint(EndpointName="twin")
    assert (
        clients(PRODUCTION)("sagemaker").describe_endpoint(EndpointName="twin")["EndpointStatus"]
        == "InService"
    )
    clients(PRODUCTION)("sagemaker").delete_endpoint(EndpointName="twin")


@pytest.mark.parametrize(
    ("region", "code"), [("ap-south-1", "ValidationError"), ("nowhere-1", "ValidationError")]
)
def test_nothing_serves_in_another_region(aws: local_aws.Running, region: str, code: str) -> None:
    runtime = aws.client("sagemaker-runtime", account=PRODUCTION, region_name=region, config=NO_RETRY)
    refused(code, runtime.invoke_endpoint, EndpointName="twin", Body=b"{}")
    sagemaker = aws.client("sagemaker", account=PRODUCTION, region_name=region, config=NO_RETRY)

    text = refused("NotImplementedByLocalAws", sagemaker.list_endpoints)
    assert "LOCAL_AWS_REGIONS" in text


def create_endpoint(client: Client, account: str) -> None:
    """Create an endpoint whose release is the account, and wait until it is in service."""
    trust = statement("sts:AssumeRole", None, Principal={"Service": "sagemaker.amazonaws.com"})
    role = client("iam").create_role(RoleName="serves", AssumeRolePolicyDocument=document(trust))["Role"][
        "Arn"
    ]
    client("iam").put_role_policy(
        RoleName="serves", PolicyName="own", PolicyDocument=document(statement("*"))
    )
    server = {"Image": "contract-server", "Environment": {"RELEASE": account}}
    sagemaker = client("sagemaker")
    sagemaker.create_model(ModelName="twin", PrimaryContainer=server, ExecutionRoleArn=role)
    variant = {
        "VariantName": "all",
        "ModelName": "twin",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="twin", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="twin", EndpointConfigName="twin")
    wait_until(
        lambda: sagemaker.describe_endpoint(EndpointName="twin")["EndpointStatus"] == "InService",
        f"twin of {account} in service",
    )


def test_a_bucket_name_is_taken_in_every_account(clients: Callable[[str], Client]) -> None:
    place = {"LocationConstraint": "eu-central-1"}
    text = refused(
        "BucketAlreadyExists",
        clients(PRODUCTION)("s3").create_bucket,
        Bucket=BUCKET,
        CreateBucketConfiguration=place,
    )

    assert text
    names = [each["Name"] for each in clients(PRODUCTION)("s3").list_buckets()["Buckets"]]
    assert BUCKET not in names


def test_another_accounts_object_needs_the_policies_of_both_sides(
    clients: Callable[[str], Client], role: Callable[..., tuple[str, Client]]
) -> None:
    reads = statement("s3:GetObject", f"arn:aws:s3:::{BUCKET}/*")
    arn, granted = role(PRODUCTION, "replicates", reads)
    _, bare = role(PRODUCTION, "bare")
    get = {"Bucket": BUCKET, "Key": "release.json"}

    text = refused("AccessDenied", granted("s3").get_object, **get)
    assert text.endswith("because no resource-based policy allows the s3:GetObject action")
    refused("AccessDenied", clients(PRODUCTION)("s3").get_object, **get)  # its administrator is nobody here
    grant = reads | {"Principal": {"AWS": [arn, arn.replace("replicates", "bare")]}}
    clients(STAGING)("s3").put_bucket_policy(Bucket=BUCKET, Policy=document(grant))

    assert granted("s3").get_object(**get)["Body"].read() == b"{}"
    text = refused("AccessDenied", bare("s3").get_object, **get)
    assert text.endswith("because no identity-based policy allows the s3:GetObject action")
    clients(STAGING)("s3").delete_bucket_policy(Bucket=BUCKET)


def test_another_accounts_role_needs_trust_and_permission(
    aws: local_aws.Running, role: Callable[..., tuple[str, Client]]
) -> None:
    trusted, _ = role(STAGING, "trusts-production", trusts=PRODUCTION)
    closed, _ = role(STAGING, "trusts-staging")
    assume = statement("sts:AssumeRole", "arn:aws:iam::*:role/*")
    _, may = role(PRODUCTION, "assumes", assume)
    _, may_not = role(PRODUCTION, "assumes-nothing")

    reader = session(aws, may("sts"), trusted, "eu-west-1")
    assert reader("sts").get_caller_identity()["Account"] == STAGING
    refused("AccessDenied", may("sts").assume_role, RoleArn=closed, RoleSessionName="session")
    refused("AccessDenied", may_not("sts").assume_role, RoleArn=trusted, RoleSessionName="session")


def test_repositories_of_other_accounts_have_addresses_of_their_own(clients: Callable[[str], Client]) -> None:
    uris = {
        account: clients(account)("ecr").create_repository(repositoryName="address")["repository"][
            "repositoryUri"
        ]
        for account in (STAGING, PRODUCTION)
    }

    host = uris[STAGING].partition("/")[0]
    assert uris == {STAGING: f"{host}/address", PRODUCTION: f"{host}/{PRODUCTION}.eu-central-1/address"}


def test_another_accounts_images_need_its_repositorys_policy(
    clients: Callable[[str], Client], role: Callable[..., tuple[str, Client]]
) -> None:
    clients(STAGING)("ecr").create_repository(repositoryName="shared")
    there = f"arn:aws:ecr:eu-west-1:{STAGING}:repository/shared"
    arn, client = role(PRODUCTION, "pulls", statement("ecr:*"))
    ecr = in_region(client("ecr"), "eu-west-1")
    asked = {"registryId": STAGING, "repositoryName": "shared", "imageIds": [{"imageTag": "v1"}]}

    text = refused("AccessDeniedException", ecr.batch_get_image, **asked)
    assert f"ecr:BatchGetImage on resource: {there} because no resource-based policy" in text
    grant = statement("ecr:BatchGetImage", None, Principal={"AWS": arn})
    clients(STAGING)("ecr").set_repository_policy(repositoryName="shared", policyText=document(grant))
    assert ecr.batch_get_image(**asked)["failures"][0]["failureCode"] == "ImageNotFound"


def in_region(client: Any, region: str) -> Any:
    """Make the same client in another Region: an image is asked for where it is."""
    found = client._request_signer._credentials.get_frozen_credentials()
    made = boto3.Session(found.access_key, found.secret_key, found.token, region_name=region)
    return made.client(
        client.meta.service_model.service_name, endpoint_url=client.meta.endpoint_url, config=NO_RETRY
    )


def test_simulations_are_of_the_callers_account(
    clients: Callable[[str], Client], role: Callable[..., tuple[str, Client]]
) -> None:
    arn, _ = role(PRODUCTION, "simulated", statement("s3:GetObject"))
    asked = {"PolicySourceArn": arn, "ActionNames": ["s3:GetObject", "s3:PutObject"]}

    found = clients(PRODUCTION)("iam").simulate_principal_policy(**asked)["EvaluationResults"]
    assert [each["EvalDecision"] for each in found] == ["allowed", "implicitDeny"]
    refused("NoSuchEntity", clients(STAGING)("iam").simulate_principal_policy, **asked)


def test_stacks_make_their_resources_in_the_callers_account(clients: Callable[[str], Client]) -> None:
    template = {
        "Resources": {"R": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "of-a-stack"}}}
    }
    clients(PRODUCTION)("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))

    names = {
        account: [
            r["repositoryName"] for r in clients(account)("ecr").describe_repositories()["repositories"]
        ]
        for account in (STAGING, PRODUCTION)
    }
    assert "of-a-stack" in names[PRODUCTION]
    assert "of-a-stack" not in names[STAGING]
