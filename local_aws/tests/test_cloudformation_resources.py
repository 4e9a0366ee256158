"""Resources of CloudFormation stacks do what the same resources do by their own APIs."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import local_aws
from local_aws.testing import wait_until
from local_aws.testing.github_issuer import GithubIssuer, Job
from testbed.serving import NO_RETRY, Serving, refused
from testbed.stacks import ALARM, TOPIC, Stacks, changed


@pytest.fixture
def stacks(aws: local_aws.Running) -> Iterator[Stacks]:
    made = Stacks(aws)
    yield made
    made.close()


@pytest.mark.starts_processes
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


@pytest.mark.starts_processes
def test_a_scaling_policy_of_a_stack_scales(aws: local_aws.Running, stacks: Stacks, serving: Serving) -> None:
    endpoint = serving.endpoint(serving.config())
    target: dict[str, Any] = {
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
    policy: dict[str, Any] = {
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
    wait_until(lambda: _desired(serving, endpoint) == 2, "the endpoint is brought to its minimum")
    serving.settled(endpoint)
    stacks.client.delete_stack(StackName=stack["StackName"])
    assert not scaling.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[target["Properties"]["ResourceId"]]
    )["ScalableTargets"]


@pytest.fixture
def own_issuer() -> Iterator[GithubIssuer]:
    """Serve an issuer that no other test has made a provider of."""
    with GithubIssuer() as serving:
        serving.issuer = serving.url
        yield serving


@pytest.mark.starts_processes
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


@pytest.mark.starts_processes
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
    repository: dict[str, Any] = {
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


@pytest.mark.starts_processes
def test_a_model_package_group_of_a_stack_is_one(aws: local_aws.Running, stacks: Stacks) -> None:
    name = f"group-{secrets.token_hex(4)}"
    group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": name}}
    stack = stacks.create({"Group": group}, Outputs={"Arn": {"Value": {"Ref": "Group"}}})

    found = aws.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
    assert stacks.outputs(stack)["Arn"] == found["ModelPackageGroupArn"]


@pytest.mark.starts_processes
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


@pytest.mark.starts_processes
def test_a_budget_is_made(aws: local_aws.Running, stacks: Stacks) -> None:
    limit = {"Amount": 50, "Unit": "USD"}
    budget = {"BudgetName": "monthly", "BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": limit}
    stack = stacks.create({"Budget": {"Type": "AWS::Budgets::Budget", "Properties": {"Budget": budget}}})

    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    found = aws.client("budgets").describe_budget(AccountId="123456789012", BudgetName="monthly")["Budget"]
    assert found["BudgetLimit"]["Amount"] == "50"


def _desired(serving: Serving, endpoint: str) -> int:
    return int(serving.describe(endpoint)["ProductionVariants"][0]["DesiredInstanceCount"])
