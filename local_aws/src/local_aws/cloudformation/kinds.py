"""The resource types of CloudFormation that exist here: by which API calls each is made, changed and deleted.

Properties go to the call that creates the resource, under the names that CloudFormation and the API share (but
for case); one that the call does not know is an error. `further` are properties with calls of their own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_aws.errors import not_imitated
from local_aws.settings import ACCOUNT_ID, REGION

Values = Mapping[str, Any]
Call = tuple[str, dict[str, Any]]
"""An operation by boto3's name, and its parameters as the template has them."""
Further = Callable[[str, Any], Iterable[Call]]
"""Identity of the resource and value of the property → calls."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One resource type."""

    type: str
    service: str
    create: str
    identity: Callable[[Values, Values], str]
    """Properties and the answer of `create` → what Ref gives."""
    delete: Callable[[str, Values], Iterable[Call]]
    """Identity and properties → calls."""
    name: str = ""
    """The property that names it; where the template has none, a name is made up."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """API names of properties that the API calls otherwise."""
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = lambda properties: properties
    """Adds what the call needs and the template does not say."""
    attributes: Mapping[str, Callable[[str, Values], str]] = field(default_factory=dict)
    """For GetAtt: identity and the answer of `create` → value."""
    further: Mapping[str, Further] = field(default_factory=dict)
    undo: Mapping[str, Further] = field(default_factory=dict)
    """For those of `further` that add to what is there: how the old value is taken away."""
    once: frozenset[str] = frozenset()
    """Those of `further` that cannot be changed afterwards."""
    puts: bool = False
    """Whether `create`, called again, changes what is there."""
    changes: Mapping[str, Further] = field(default_factory=dict)
    """Properties of `create` that can be changed afterwards."""


def _removed_by(operation: str, parameter: str) -> Callable[[str, Values], Iterable[Call]]:
    return lambda identity, _: [(operation, {parameter: identity})]


def _set_by(operation: str, owner: str, parameter: str) -> Further:
    return lambda identity, value: [(operation, {owner: identity, parameter: value})]


def _split_target(properties: dict[str, Any]) -> dict[str, Any]:
    """Spell out ScalingTargetId, which is what Ref of a scalable target gives."""
    resource, dimension, namespace = properties.pop("ScalingTargetId", "||").split("|")
    found = {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}
    return {name: value for name, value in found.items() if value} | properties


def _target(properties: Values, *further: str) -> dict[str, Any]:
    names = ("ResourceId", "ScalableDimension", "ServiceNamespace", *further)
    return {name: _split_target(dict(properties))[name] for name in names}


def _encryption(value: Values) -> dict[str, Any]:
    """BucketEncryption, as the API has it."""
    rules = [
        {name.replace("ServerSide", "ApplyServerSide", 1): inner for name, inner in rule.items()}
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"Rules": rules}


def _lifecycle(value: Values) -> dict[str, Any]:
    """LifecycleConfiguration, as the API has it."""
    rules = []
    for given in value["Rules"]:
        rule = {"Filter": {"Prefix": given.get("Prefix", "")}, **given}
        rule.pop("Prefix", None)
        if "ExpirationInDays" in rule:
            rule["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
        rules.append(rule)
    return {"Rules": rules}


def _topic_policy(properties: dict[str, Any]) -> dict[str, Any]:
    """The policy of one topic, as SetTopicAttributes has it. Raises AwsError for several topics."""
    if len(properties["Topics"]) != 1:
        raise not_imitated("An AWS::SNS::TopicPolicy of several topics")
    policy = {"AttributeName": "Policy", "AttributeValue": properties["PolicyDocument"]}
    return {"TopicArn": properties["Topics"][0], **policy}


def _each(operation: str, owner: str, parameter: str = "") -> Further:
    """One call per item of a list: the item under `parameter`, or its own fields."""
    return lambda identity, items: [
        (operation, {owner: identity, **({parameter: item} if parameter else item)}) for item in items
    ]


def _arn_of(service: str, kind: str, region: str = REGION) -> Callable[[str, Values], str]:
    account = "" if service == "s3" else ACCOUNT_ID
    return lambda identity, _: f"arn:aws:{service}:{region}:{account}:{kind}{identity}"


KINDS = (
    Kind(
        type="AWS::CloudWatch::Alarm",
        service="cloudwatch",
        name="AlarmName",
        create="put_metric_alarm",
        puts=True,
        identity=lambda properties, _: str(properties["AlarmName"]),
        delete=lambda identity, _: [("delete_alarms", {"AlarmNames": [identity]})],
        attributes={"Arn": _arn_of("cloudwatch", "alarm:")},
    ),
    Kind(
        type="AWS::ApplicationAutoScaling::ScalableTarget",
        service="application-autoscaling",
        create="register_scalable_target",
        puts=True,
        identity=lambda properties, _: "|".join(_target(properties).values()),
        delete=lambda _, properties: [("deregister_scalable_target", _target(properties))],
    ),
    Kind(
        type="AWS::ApplicationAutoScaling::ScalingPolicy",
        service="application-autoscaling",
        create="put_scaling_policy",
        puts=True,
        prepare=_split_target,
        identity=lambda _, answer: str(answer["PolicyARN"]),
        delete=lambda _, properties: [("delete_scaling_policy", _target(properties, "PolicyName"))],
    ),
    Kind(
        type="AWS::IAM::OIDCProvider",
        service="iam",
        create="create_open_id_connect_provider",
        identity=lambda _, answer: str(answer["OpenIDConnectProviderArn"]),
        delete=_removed_by("delete_open_id_connect_provider", "OpenIDConnectProviderArn"),
        attributes={"Arn": lambda identity, _: identity},
    ),
    Kind(
        type="AWS::IAM::Role",
        service="iam",
        name="RoleName",
        create="create_role",
        identity=lambda properties, _: str(properties["RoleName"]),
        delete=_removed_by("delete_role", "RoleName"),
        attributes={
            "Arn": lambda _, answer: str(answer["Role"]["Arn"]),
            "RoleId": lambda _, answer: str(answer["Role"]["RoleId"]),
        },
        further={
            "Policies": _each("put_role_policy", "RoleName"),
            "ManagedPolicyArns": _each("attach_role_policy", "RoleName", "PolicyArn"),
        },
        undo={
            "Policies": lambda name, policies: [
                ("delete_role_policy", {"RoleName": name, "PolicyName": policy["PolicyName"]})
                for policy in policies
            ],
            "ManagedPolicyArns": _each("detach_role_policy", "RoleName", "PolicyArn"),
        },
        changes={
            "AssumeRolePolicyDocument": _set_by("update_assume_role_policy", "RoleName", "PolicyDocument"),
            "MaxSessionDuration": _set_by("update_role", "RoleName", "MaxSessionDuration"),
        },
    ),
    Kind(
        type="AWS::S3::Bucket",
        service="s3",
        name="BucketName",
        rename={"BucketName": "Bucket"},
        create="create_bucket",
        prepare=lambda properties: properties | {"CreateBucketConfiguration": {"LocationConstraint": REGION}},
        identity=lambda properties, _: str(properties["BucketName"]),
        delete=_removed_by("delete_bucket", "Bucket"),
        attributes={"Arn": _arn_of("s3", "", region="")},
        further={
            "VersioningConfiguration": _set_by("put_bucket_versioning", "Bucket", "VersioningConfiguration"),
            "PublicAccessBlockConfiguration": _set_by(
                "put_public_access_block", "Bucket", "PublicAccessBlockConfiguration"
            ),
            "OwnershipControls": _set_by("put_bucket_ownership_controls", "Bucket", "OwnershipControls"),
            "BucketEncryption": lambda name, value: [
                (
                    "put_bucket_encryption",
                    {"Bucket": name, "ServerSideEncryptionConfiguration": _encryption(value)},
                )
            ],
            "LifecycleConfiguration": lambda name, value: [
                (
                    "put_bucket_lifecycle_configuration",
                    {"Bucket": name, "LifecycleConfiguration": _lifecycle(value)},
                )
            ],
            "Tags": lambda name, tags: [
                ("put_bucket_tagging", {"Bucket": name, "Tagging": {"TagSet": tags}})
            ],
        },
    ),
    Kind(
        type="AWS::S3::BucketPolicy",
        service="s3",
        rename={"PolicyDocument": "Policy"},
        create="put_bucket_policy",
        puts=True,
        identity=lambda properties, _: str(properties["Bucket"]),
        delete=_removed_by("delete_bucket_policy", "Bucket"),
    ),
    Kind(
        type="AWS::ECR::Repository",
        service="ecr",
        name="RepositoryName",
        create="create_repository",
        identity=lambda properties, _: str(properties["RepositoryName"]),
        prepare=lambda properties: {n: v for n, v in properties.items() if n != "EmptyOnDelete"},
        delete=lambda name, properties: [
            (
                "delete_repository",
                {"repositoryName": name, "force": properties.get("EmptyOnDelete", False)},
            )
        ],
        attributes={
            "Arn": lambda _, answer: str(answer["repository"]["repositoryArn"]),
            "RepositoryUri": lambda _, answer: str(answer["repository"]["repositoryUri"]),
        },
        further={
            "LifecyclePolicy": lambda name, value: [
                ("put_lifecycle_policy", {"repositoryName": name, **value})
            ],
            "RepositoryPolicyText": _set_by("set_repository_policy", "repositoryName", "policyText"),
        },
        changes={
            "ImageTagMutability": _set_by("put_image_tag_mutability", "repositoryName", "imageTagMutability")
        },
    ),
    Kind(
        type="AWS::SNS::Topic",
        service="sns",
        name="TopicName",
        rename={"TopicName": "Name"},
        create="create_topic",
        identity=lambda _, answer: str(answer["TopicArn"]),
        delete=_removed_by("delete_topic", "TopicArn"),
        attributes={
            "TopicArn": lambda identity, _: identity,
            "TopicName": lambda identity, _: identity.rpartition(":")[2],
        },
        further={"Subscription": _each("subscribe", "TopicArn")},
        once=frozenset({"Subscription"}),
    ),
    Kind(
        type="AWS::SNS::TopicPolicy",
        service="sns",
        create="set_topic_attributes",
        puts=True,
        prepare=_topic_policy,
        identity=lambda properties, _: str(properties["Topics"][0]),
        delete=lambda *_: [],  # it goes with its topic
    ),
    Kind(
        type="AWS::SNS::Subscription",
        service="sns",
        create="subscribe",
        identity=lambda _, answer: str(answer["SubscriptionArn"]),
        delete=_removed_by("unsubscribe", "SubscriptionArn"),
    ),
    Kind(
        type="AWS::SageMaker::ModelPackageGroup",
        service="sagemaker",
        create="create_model_package_group",
        identity=lambda _, answer: str(answer["ModelPackageGroupArn"]),
        delete=_removed_by("delete_model_package_group", "ModelPackageGroupName"),
        attributes={"ModelPackageGroupArn": lambda identity, _: identity},
    ),
    Kind(
        type="AWS::Budgets::Budget",
        service="budgets",
        create="create_budget",
        prepare=lambda properties: {"AccountId": ACCOUNT_ID, **properties},
        identity=lambda properties, _: str(properties["Budget"]["BudgetName"]),
        delete=lambda name, _: [("delete_budget", {"AccountId": ACCOUNT_ID, "BudgetName": name})],
    ),
)
