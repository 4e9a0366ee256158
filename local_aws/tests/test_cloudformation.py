"""CloudFormation stacks: refusals, rollbacks, change sets, deletion."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import WaiterError

import local_aws
from testbed.serving import refused
from testbed.stacks import ALARM, PARAMETERS, TOPIC, Stacks, changed

pytestmark = pytest.mark.starts_processes


@pytest.fixture
def stacks(aws: local_aws.Running) -> Iterator[Stacks]:
    made = Stacks(aws)
    yield made
    made.close()


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


def test_a_list_of_parameters_is_shown_as_it_was_given(stacks: Stacks) -> None:
    """An empty one too: a client that compares would else update the stack each time."""
    names = {"Names": {"Type": "CommaDelimitedList", "Default": ""}}
    request = stacks.request({"Topic": TOPIC}, Parameters=names)
    given = [{"ParameterKey": "Names", "ParameterValue": ""}]
    stacks.client.create_stack(**request, Parameters=given)

    def shown() -> list[dict[str, str]]:
        (stack,) = stacks.client.describe_stacks(StackName=request["StackName"])["Stacks"]
        return [{name: each[name] for name in given[0]} for each in stack["Parameters"]]

    assert shown() == given
    given = [{"ParameterKey": "Names", "ParameterValue": "a,b"}]
    stacks.client.update_stack(**request, Parameters=given)
    assert shown() == given


def test_a_resource_comes_and_goes_with_its_condition(aws: local_aws.Running, stacks: Stacks) -> None:
    sections = {
        "Parameters": PARAMETERS | {"Wanted": {"Type": "String", "Default": ""}},
        "Conditions": {"IsWanted": {"Fn::Equals": [{"Ref": "Wanted"}, "yes"]}},
    }
    name = f"{secrets.token_hex(4)}-wanted"
    alarm = changed(ALARM, AlarmName=name) | {"Condition": "IsWanted"}
    request = stacks.request({"Topic": TOPIC, "Alarm": alarm}, **sections)
    cloudwatch = aws.client("cloudwatch")

    def is_there(wanted: str) -> bool:
        """Update the stack by another value of its parameter."""
        given = [{"ParameterKey": "Wanted", "ParameterValue": wanted}]
        stacks.client.update_stack(**request, Parameters=given)
        assert stacks.describe(request["StackName"])["StackStatus"] == "UPDATE_COMPLETE"
        return bool(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"])

    stacks.client.create_stack(**request)
    assert [is_there(wanted) for wanted in ("no", "yes", "still", "yes")] == [False, True, False, True]
