"""The further rights that a call takes: to pass roles, to give tags, and to what a service does in its caller's name."""

from collections.abc import Iterator

from local_aws.authorisation.calls import Call
from local_aws.authorisation.conditions import Context
from local_aws.authorisation.protocols import Facts
from local_aws.errors import not_imitated
from local_aws.places import account_id, region

Asked = tuple[str, str, Context]

PASSED = ("ExecutionRoleArn", "RoleArn", "RoleARN", "roleArn", "ServiceRoleArn")
PASSED_TO = {
    "sagemaker": "sagemaker.amazonaws.com",
    "application-autoscaling": "application-autoscaling.amazonaws.com",
    "logs": "logs.amazonaws.com",
    "events": "events.amazonaws.com",
}
"""The service that gets a role which is a parameter of one of its operations (iam:PassedToService)."""
TAGGING = frozenset({"AddTags", "TagResource", "TagRole", "TagPolicy", "TagUser", "TagOpenIDConnectProvider"})
MAKES = ("Create", "Put", "Register")
LINKED_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
LINKED_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"


def forwarded(call: Call, facts: Facts) -> Iterator[Asked]:
    """Yield the further (action, resource, condition keys) of a call. Raises AwsError for a role of unknown use."""
    yield from _passed_roles(call)
    yield from _tags(call)
    if call.service == "application-autoscaling":
        yield from _scaling(call, facts)
    if call.service == "sagemaker" and call.operation in ("CreateEndpoint", "UpdateEndpoint"):
        key = facts.storage_key_of(str(call.parameters.get("EndpointConfigName", "")))
        if key:
            yield "kms:CreateGrant", facts.key_arn(key), {"kms:grantisforawsresource": ["true"]}


def _passed_roles(call: Call) -> Iterator[Asked]:
    if call.service in ("iam", "sts"):
        return
    for name in PASSED:
        arn = call.parameters.get(name)
        if not arn:
            continue
        service = PASSED_TO.get(call.service)
        if service is None:
            raise not_imitated(f"{name} of {call.service}:{call.operation} is unmapped: iam:PassedToService")
        yield "iam:PassRole", str(arn), {"iam:passedtoservice": [service]}


def _tags(call: Call) -> Iterator[Asked]:
    """SageMaker asks for AddTags on what it makes (aws/aws-cdk#32294); the others for TagResource."""
    given = call.parameters.get("Tags") or call.parameters.get("tags")
    if not given or call.operation in TAGGING or not call.operation.startswith(MAKES):
        return
    if call.service == "sagemaker":
        kind = call.operation.removeprefix("Create")
        name = call.parameters.get(f"{kind}Name")
        if name is None:
            raise not_imitated(f"Tags of sagemaker:{call.operation} are unmapped")
        dashed = "".join(f"-{c.lower()}" if c.isupper() else c for c in kind).lstrip("-")
        yield (
            "sagemaker:AddTags",
            f"arn:aws:sagemaker:{region()}:{account_id()}:{dashed}/{str(name).lower()}",
            {},
        )
    elif call.service == "cloudwatch":
        yield (
            "cloudwatch:TagResource",
            f"arn:aws:cloudwatch:{region()}:{account_id()}:alarm:{call.parameters['AlarmName']}",
            {},
        )
    elif call.service == "ecr":
        name = call.parameters["repositoryName"]
        yield "ecr:TagResource", f"arn:aws:ecr:{region()}:{account_id()}:repository/{name}", {}
    elif call.service == "application-autoscaling":
        target = f"arn:aws:application-autoscaling:{region()}:{account_id()}:scalable-target/*"
        yield "application-autoscaling:TagResource", target, {}
    else:
        raise not_imitated(f"Tags of {call.service}:{call.operation} are unmapped")


def _scaling(call: Call, facts: Facts) -> Iterator[Asked]:
    """Application Auto Scaling asks SageMaker and CloudWatch in its caller's name.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
    """
    scalable = str(call.parameters.get("ResourceId", ""))
    kind, _, rest = scalable.partition("/")
    if kind != "endpoint":
        return
    endpoint = rest.partition("/")[0]
    if call.operation == "RegisterScalableTarget":
        place = f"arn:aws:sagemaker:{region()}:{account_id()}"
        yield "sagemaker:DescribeEndpoint", f"{place}:endpoint/{endpoint.lower()}", {}
        config = facts.config_of(endpoint)
        if config:
            yield "sagemaker:DescribeEndpointConfig", f"{place}:endpoint-config/{config.lower()}", {}
        yield "sagemaker:UpdateEndpointWeightsAndCapacities", f"{place}:endpoint/{endpoint.lower()}", {}
        if not facts.has_role(LINKED_ROLE):
            linked = f"arn:aws:iam::{account_id()}:role/aws-service-role/{LINKED_SERVICE}/{LINKED_ROLE}"
            yield "iam:CreateServiceLinkedRole", linked, {"iam:awsservicename": [LINKED_SERVICE]}
    elif call.operation == "PutScalingPolicy":
        if call.parameters.get("PolicyType") == "TargetTrackingScaling":
            yield "cloudwatch:DescribeAlarms", _alarm("*"), {}
            yield "cloudwatch:PutMetricAlarm", _alarm(f"TargetTracking-{scalable}-AlarmHigh"), {}
    elif call.operation == "DeleteScalingPolicy":
        for alarm in facts.alarms_of_target(scalable):
            yield "cloudwatch:DeleteAlarms", _alarm(alarm), {}


def _alarm(name: str) -> str:
    return f"arn:aws:cloudwatch:{region()}:{account_id()}:alarm:{name}"
