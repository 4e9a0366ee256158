"""CloudFormation through boto3: resources are made by this AWS's own APIs, or the stack says why not."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import WaiterError

import local_aws
from tests.github_issuer import GithubIssuer, Job
from tests.local_aws.serving import NO_RETRY, Serving, refused, until

TOPIC = {"Type": "AWS::SNS::Topic"}
ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "AlarmName": {"Fn::Sub": "${AWS::StackName}-errors"},
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Dimensions": [{"Name": "EndpointName", "Value": {"Ref": "Endpoint"}}],
        "Statistic": "Average",
        "Period": "60",  # CloudFormation takes numbers as text
        "EvaluationPeriods": 1,
        "Threshold": {"Ref": "Limit"},
        "ComparisonOperator": "GreaterThanThreshold",
        "ActionsEnabled": "false",
    },
}
PARAMETERS = {
    "Endpoint": {"Type": "String", "Default": "digits"},
    "Limit": {"Type": "Number", "Default": "0.01"},
}


class Stacks:
    """Makes stacks, and deletes them at the end."""

    def __init__(self, aws: local_aws.Running) -> None:
        self.client = aws.client("cloudformation", config=NO_RETRY)
        self.made: list[str] = []

    def request(self, resources: dict[str, Any], **more: Any) -> dict[str, Any]:
        name = f"stack-{secrets.token_hex(4)}"
        self.made.append(name)
        body = {"Parameters": PARAMETERS, "Resources": resources} | more
        return {"StackName": name, "TemplateBody": json.dumps(body)}

    def create(self, resources: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Create a stack and describe it, however it ended."""
        request = self.request(resources, **more)
        self.client.create_stack(**request)
        return self.describe(request["StackName"])

    def update(self, name: str, resources: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"Parameters": PARAMETERS, "Resources": resources})
        self.client.update_stack(StackName=name, TemplateBody=body)
        return self.describe(name)

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def outputs(self, stack: dict[str, Any]) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def close(self) -> None:
        for name in self.made:
            self.client.delete_stack(StackName=name)


@pytest.fixture
def stacks(aws: local_aws.Running) -> Iterator[Stacks]:
    made = Stacks(aws)
    yield made
    made.close()


def changed(resource: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return resource | {"Properties": resource["Properties"] | properties}


def test_an_alarm_of_a_stack_is_an_alarm(aws: local_aws.Running, stacks: Stacks) -> None:
    cloudwatch = aws.client("cloudwatch")
    output = {"Arn": {"Value": {"Fn::GetAtt": ["Alarm", "Arn"]}}, "Name": {"Value": {"Ref": "Alarm"}}}
    stack = stacks.create({"Alarm": ALARM}, Outputs=output)

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    told = stacks.outputs(stack)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[told["Name"]])["MetricAlarms"]
    assert alarm["AlarmArn"] == told["Arn"]
    assert (alarm["Period"], alarm["Threshold"], alarm["ActionsEnabled"]) == (60, 0.01, False)
    assert alarm["Dimensions"] == [{"Name": "EndpointName", "Value": "digits"}]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA"

    stacks.update(stack["StackName"], {"Alarm": changed(ALARM, Threshold=0.5)})
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[told["Name"]])["MetricAlarms"]
    assert alarm["Threshold"] == 0.5
    stacks.client.delete_stack(StackName=stack["StackName"])
    assert not cloudwatch.describe_alarms(AlarmNames=[told["Name"]])["MetricAlarms"]


def test_a_scaling_policy_of_a_stack_scales(aws: local_aws.Running, stacks: Stacks, serving: Serving) -> None:
    endpoint = serving.endpoint(serving.config())
    target = {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
            "MinCapacity": 2,
            "MaxCapacity": "3",
        },
    }
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    policy = {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": "requests",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": {"Ref": "Target"},
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 600,
                "PredefinedMetricSpecification": metric,
            },
        },
    }
    stack = stacks.create({"Policy": policy, "Target": target})

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    scaling = aws.client("application-autoscaling")
    (found,) = scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=target["Properties"]["ResourceId"]
    )["ScalingPolicies"]
    assert found["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 600.0
    assert len(found["Alarms"]) == 2
    count = lambda: serving.describe(endpoint)["ProductionVariants"][0]["DesiredInstanceCount"]  # noqa: E731
    until(lambda: count() == 2, "the endpoint is brought to its minimum")
    serving.settled(endpoint)
    stacks.client.delete_stack(StackName=stack["StackName"])
    assert not scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[target["Properties"]["ResourceId"]]
    )["ScalableTargets"]


@pytest.fixture
def own_issuer() -> Iterator[GithubIssuer]:
    """An issuer that no other test has made a provider of."""
    with GithubIssuer() as serving:
        serving.issuer = serving.url
        yield serving


def test_a_deploy_role_of_a_stack_lets_the_right_job_in(
    aws: local_aws.Running, stacks: Stacks, own_issuer: GithubIssuer
) -> None:
    """Provider, role and trust policy in one template, as bootstrap has them."""
    host = own_issuer.issuer.removeprefix("http://")
    job = Job("ORG/REPO", environment="production", ids=(1, 2))
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": {"Ref": "Provider"}},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": [job.subject]}
                },
            }
        ],
    }
    allow = {"Effect": "Allow", "Action": "sagemaker:DescribeEndpoint", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allow]}
    provider = {
        "Type": "AWS::IAM::OIDCProvider",
        "Properties": {"Url": own_issuer.issuer, "ClientIdList": ["sts.amazonaws.com"]},
    }
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": trust,
            "Policies": [{"PolicyName": "deploy", "PolicyDocument": document}],
            "MaxSessionDuration": 7200,
        },
    }
    output = {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}, "Name": {"Value": {"Ref": "Role"}}}
    stack = stacks.create({"Role": role, "Provider": provider}, Outputs=output)
    told = stacks.outputs(stack)

    iam, sts = aws.client("iam"), aws.client("sts", config=NO_RETRY)
    kept = iam.get_role_policy(RoleName=told["Name"], PolicyName="deploy")
    assert kept["PolicyDocument"] == document
    request = {"RoleArn": told["Arn"], "RoleSessionName": "deploy"}
    wrong = own_issuer.mint(replace(job, environment="staging"))
    refused("AccessDenied", sts.assume_role_with_web_identity, **request, WebIdentityToken=wrong)
    assert sts.assume_role_with_web_identity(
        **request, WebIdentityToken=own_issuer.mint(job), DurationSeconds=7200
    )

    without = changed(role, Policies=[])
    stacks.update(stack["StackName"], {"Role": without, "Provider": provider})
    assert not iam.list_role_policies(RoleName=told["Name"])["PolicyNames"]
    stacks.client.delete_stack(StackName=stack["StackName"])
    refused("NoSuchEntity", iam.get_role, RoleName=told["Name"])


def test_a_bucket_and_a_repository_are_as_the_template_says(aws: local_aws.Running, stacks: Stacks) -> None:
    encryption = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    bucket = {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "VersioningConfiguration": {"Status": "Enabled"},
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "RestrictPublicBuckets": "true"},
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
            "LifecycleConfiguration": {"Rules": [{"Id": "old", "Status": "Enabled", "ExpirationInDays": 9}]},
        },
    }
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
        "action": {"type": "expire"},
    }
    lifecycle = json.dumps({"rules": [rule]})
    repository = {
        "Type": "AWS::ECR::Repository",
        "Properties": {
            "RepositoryName": f"repository-{secrets.token_hex(4)}",
            "ImageTagMutability": "IMMUTABLE",
            "LifecyclePolicy": {"LifecyclePolicyText": lifecycle},
        },
    }
    output = {
        "Bucket": {"Value": {"Ref": "Bucket"}},
        "Uri": {"Value": {"Fn::GetAtt": ["Repository", "RepositoryUri"]}},
    }
    stack = stacks.create({"Bucket": bucket, "Repository": repository}, Outputs=output)
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    name, s3, ecr = stacks.outputs(stack)["Bucket"], aws.client("s3"), aws.client("ecr")

    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    blocked = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert blocked["RestrictPublicBuckets"] is True
    assert s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"][0]["Expiration"] == {"Days": 9}
    repository_name = repository["Properties"]["RepositoryName"]
    assert stacks.outputs(stack)["Uri"].endswith(f"/{repository_name}")
    assert ecr.get_lifecycle_policy(repositoryName=repository_name)["lifecyclePolicyText"] == lifecycle


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        (
            {"Type": "AWS::SageMaker::Endpoint", "Properties": {}},
            "AWS::SageMaker::Endpoint",
        ),  # moto's would be a record
        ({"Type": "AWS::Lambda::Function"}, "AWS::Lambda::Function"),
        ({"Type": "AWS::CloudWatch::Alarms"}, "AWS::CloudWatch::Alarms"),
        (TOPIC | {"CreationPolicy": {}}, "CreationPolicy"),
    ],
)
def test_a_template_with_a_resource_that_is_not_imitated_is_refused_at_once(
    aws: local_aws.Running, stacks: Stacks, resource: dict[str, Any], sentence: str
) -> None:
    request = stacks.request({"Topic": TOPIC, "Other": resource})
    calls = (stacks.client.create_stack, stacks.client.create_change_set)

    assert sentence in refused("NotImplementedByLocalAws", calls[0], **request)
    assert sentence in refused("NotImplementedByLocalAws", calls[1], **request, ChangeSetName="first")
    refused("ValidationError", stacks.client.describe_stacks, StackName=request["StackName"])


def test_what_fails_is_rolled_back_and_says_why(aws: local_aws.Running, stacks: Stacks) -> None:
    names = [f"{secrets.token_hex(4)}-one", f"{secrets.token_hex(4)}-two"]
    good = changed(ALARM, AlarmName=names[0])
    bad = changed(ALARM, AlarmName=names[1], ThresholdMetric="ad1")
    stack = stacks.create({"Good": good, "Bad": bad | {"DependsOn": "Good"}})

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "ThresholdMetric of AWS::CloudWatch::Alarm" in stack["StackStatusReason"]
    assert not aws.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    waiter = stacks.client.get_waiter("stack_create_complete")
    with pytest.raises(WaiterError, match="ROLLBACK_COMPLETE"):
        waiter.wait(StackName=stack["StackName"], WaiterConfig={"Delay": 1, "MaxAttempts": 2})


def test_an_update_that_would_replace_a_resource_is_refused(stacks: Stacks) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "alarms"}}
    stack = stacks.create({"Topic": topic})
    stack = stacks.update(stack["StackName"], {"Topic": changed(topic, TopicName="others")})

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    assert "TopicName of AWS::SNS::Topic" in stack["StackStatusReason"]


def test_an_update_keeps_a_default_and_drops_what_is_no_value(aws: local_aws.Running, stacks: Stacks) -> None:
    """A list's item that is AWS::NoValue is left out; UsePreviousValue is also of what nobody has given."""
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    extra = {"PolicyName": "extra", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow]}}
    template = {
        "Parameters": {
            "Extra": {"Type": "String", "Default": "no"},
            "Seconds": {"Type": "Number", "Default": 7200},
        },
        "Conditions": {"HasExtra": {"Fn::Equals": [{"Ref": "Extra"}, "yes"]}},
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": "of-no-value",
                    "MaxSessionDuration": {"Ref": "Seconds"},
                    "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
                    "Policies": [{"Fn::If": ["HasExtra", extra, {"Ref": "AWS::NoValue"}]}],
                },
            }
        },
    }
    iam, body = aws.client("iam"), json.dumps(template)
    stacks.client.create_stack(StackName="no-value", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    stacks.made.append("no-value")
    before = iam.list_role_policies(RoleName="of-no-value")["PolicyNames"]

    stacks.client.update_stack(
        StackName="no-value",
        TemplateBody=body,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": "Extra", "ParameterValue": "yes"},
            {"ParameterKey": "Seconds", "UsePreviousValue": True},
        ],
    )

    assert stacks.describe("no-value")["StackStatus"] == "UPDATE_COMPLETE"
    assert (before, iam.list_role_policies(RoleName="of-no-value")["PolicyNames"]) == ([], ["extra"])
    assert iam.get_role(RoleName="of-no-value")["Role"]["MaxSessionDuration"] == 7200


def test_a_bucket_that_is_not_empty_keeps_its_stack(aws: local_aws.Running, stacks: Stacks) -> None:
    s3, output = aws.client("s3"), {"Bucket": {"Value": {"Ref": "Bucket"}}}
    stack = stacks.create({"Bucket": {"Type": "AWS::S3::Bucket"}}, Outputs=output)
    bucket = stacks.outputs(stack)["Bucket"]
    s3.put_object(Bucket=bucket, Key="one", Body=b"1")
    stacks.client.delete_stack(StackName=stack["StackName"])

    failed = stacks.describe(stack["StackName"])
    assert failed["StackStatus"] == "DELETE_FAILED"
    assert "BucketNotEmpty" in failed["StackStatusReason"]
    s3.delete_object(Bucket=bucket, Key="one")


def test_the_commands_of_a_deployment_work(aws: local_aws.Running, stacks: Stacks) -> None:
    """`aws cloudformation deploy` makes a change set and executes it."""
    request = stacks.request({"Alarm": ALARM, "Topic": TOPIC})
    name = request["StackName"]
    for kind, template in (
        ("CREATE", request["TemplateBody"]),
        ("UPDATE", request["TemplateBody"].replace("0.01", "0.02")),
    ):
        made = stacks.client.create_change_set(
            StackName=name, ChangeSetName=kind.lower(), ChangeSetType=kind, TemplateBody=template
        )
        stacks.client.execute_change_set(ChangeSetName=made["Id"], StackName=name)
        assert stacks.describe(name)["StackStatus"] == f"{kind}_COMPLETE"

    (alarm,) = aws.client("cloudwatch").describe_alarms(AlarmNames=[f"{name}-errors"])["MetricAlarms"]
    assert alarm["Threshold"] == 0.02


@pytest.mark.parametrize(("policy", "stays"), [("RetainExceptOnCreate", True), ("Delete", False)])
def test_what_is_to_be_kept_outlives_its_stack(
    aws: local_aws.Running, stacks: Stacks, policy: str, stays: bool
) -> None:
    output = {"Name": {"Value": {"Ref": "Bucket"}}}
    stack = stacks.create({"Bucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": policy}}, Outputs=output)
    name = stacks.outputs(stack)["Name"]
    stacks.client.delete_stack(StackName=stack["StackName"])

    buckets = aws.client("s3").list_buckets()["Buckets"]
    assert (name in {bucket["Name"] for bucket in buckets}) is stays


def test_a_model_package_group_of_a_stack_is_one(aws: local_aws.Running, stacks: Stacks) -> None:
    name = f"group-{secrets.token_hex(4)}"
    group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": name}}
    stack = stacks.create({"Group": group}, Outputs={"Arn": {"Value": {"Ref": "Group"}}})

    found = aws.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
    assert stacks.outputs(stack)["Arn"] == found["ModelPackageGroupArn"]


def test_a_topic_has_the_policy_and_the_reader_that_its_stack_gives_it(
    aws: local_aws.Running, stacks: Stacks
) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sns:Publish"}]}
    policy = {"Topics": [{"Ref": "Topic"}], "PolicyDocument": document}
    reader = {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": "us@example.com"}
    resources = {
        "Topic": TOPIC,
        "Policy": {"Type": "AWS::SNS::TopicPolicy", "Properties": policy},
        "Reader": {"Type": "AWS::SNS::Subscription", "Properties": reader},
    }
    stack = stacks.create(resources, Outputs={"Topic": {"Value": {"Ref": "Topic"}}})
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    topic, sns = stacks.outputs(stack)["Topic"], aws.client("sns")

    assert json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]) == document
    subscribed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [each["Endpoint"] for each in subscribed] == ["us@example.com"]


def test_a_budget_is_made(aws: local_aws.Running, stacks: Stacks) -> None:
    limit = {"Amount": 50, "Unit": "USD"}
    budget = {"BudgetName": "monthly", "BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": limit}
    stack = stacks.create({"Budget": {"Type": "AWS::Budgets::Budget", "Properties": {"Budget": budget}}})

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    found = aws.client("budgets").describe_budget(AccountId="123456789012", BudgetName="monthly")["Budget"]
    assert found["BudgetLimit"]["Amount"] == "50"
