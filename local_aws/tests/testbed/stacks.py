"""Stacks and templates for tests of CloudFormation."""

import json
import secrets
from typing import Any

import local_aws
from testbed.serving import NO_RETRY

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


def changed(resource: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return resource | {"Properties": resource["Properties"] | properties}
