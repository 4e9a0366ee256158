"""A resource type of CloudFormation: its API calls, and builders for them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_aws.errors import not_imitated
from local_aws.places import account_id, region

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
    """Function of the properties and `create`'s answer; returns the value of Ref."""
    delete: Callable[[str, Values], Iterable[Call]]
    """Function of identity and properties; returns the calls that delete the resource."""
    name: str = ""
    """Property that names the resource; a name is made up where the template has none."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """API names of the properties that have another name in the API."""
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = lambda properties: properties
    """Function that adds the parameters that the template lacks."""
    attributes: Mapping[str, Callable[[str, Values], str]] = field(default_factory=dict)
    """Attributes for GetAtt: functions of identity and `create`'s answer."""
    further: Mapping[str, Further] = field(default_factory=dict)
    undo: Mapping[str, Further] = field(default_factory=dict)
    """Calls that remove the old value, for those of `further` that add to it."""
    once: frozenset[str] = frozenset()
    """Names in `further` that cannot be changed afterwards."""
    puts: bool = False
    """True when `create`, called again, updates the resource."""
    changes: Mapping[str, Further] = field(default_factory=dict)
    """Calls that change properties of `create` afterwards."""


def removed_by(operation: str, parameter: str) -> Callable[[str, Values], Iterable[Call]]:
    """Delete by one call with the identity as `parameter`."""
    return lambda identity, _: [(operation, {parameter: identity})]


def set_by(operation: str, owner: str, parameter: str) -> Further:
    """Set a property by one call with the identity as `owner` and the value as `parameter`."""
    return lambda identity, value: [(operation, {owner: identity, parameter: value})]


def split_target(properties: dict[str, Any]) -> dict[str, Any]:
    """Replace ScalingTargetId, the value of Ref of a scalable target, by its three parts."""
    resource, dimension, namespace = properties.pop("ScalingTargetId", "||").split("|")
    found = {"ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}
    return {name: value for name, value in found.items() if value} | properties


def scaling_target(properties: Values, *further: str) -> dict[str, Any]:
    """Return the parameters that name a scalable target, and `further` ones of the properties."""
    names = ("ResourceId", "ScalableDimension", "ServiceNamespace", *further)
    return {name: split_target(dict(properties))[name] for name in names}


def bucket_encryption(value: Values) -> dict[str, Any]:
    """Convert BucketEncryption to the API's form."""
    rules = [
        {name.replace("ServerSide", "ApplyServerSide", 1): inner for name, inner in rule.items()}
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"Rules": rules}


def bucket_lifecycle(value: Values) -> dict[str, Any]:
    """Convert LifecycleConfiguration to the API's form."""
    rules = []
    for given in value["Rules"]:
        rule = {"Filter": {"Prefix": given.get("Prefix", "")}, **given}
        rule.pop("Prefix", None)
        if "ExpirationInDays" in rule:
            rule["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
        rules.append(rule)
    return {"Rules": rules}


def topic_policy(properties: dict[str, Any]) -> dict[str, Any]:
    """Write SetTopicAttributes for the policy of one topic. Raises AwsError for several topics."""
    if len(properties["Topics"]) != 1:
        raise not_imitated("An AWS::SNS::TopicPolicy of several topics")
    policy = {"AttributeName": "Policy", "AttributeValue": properties["PolicyDocument"]}
    return {"TopicArn": properties["Topics"][0], **policy}


def call_each(operation: str, owner: str, parameter: str = "") -> Further:
    """Make one call per item of a list: the item as `parameter`, or its own fields."""
    return lambda identity, items: [
        (operation, {owner: identity, **({parameter: item} if parameter else item)}) for item in items
    ]


def arn_of(service: str, kind: str) -> Callable[[str, Values], str]:
    """Build ARNs of a service from identities; a bucket's has neither Region nor account."""
    if service == "s3":
        return lambda identity, _: f"arn:aws:s3:::{identity}"
    return lambda identity, _: f"arn:aws:{service}:{region()}:{account_id()}:{kind}{identity}"
