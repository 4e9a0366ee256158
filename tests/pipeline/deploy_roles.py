"""The policies of an environment's deploy role, as CloudFormation would resolve its template, and IAM's decisions."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from local_aws.identity.simulation import decide
from pipeline.account.bootstrap_github import GithubRepository, role_stack
from pipeline.config import Environment

NO_VALUE = object()
REPOSITORY = GithubRepository("ORG", "REPO", 12, 345)
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, each as its long form."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        return {f"Fn::{suffix}": loader.construct_sequence(node, deep=True)}
    return {"Ref" if suffix == "Ref" else f"Fn::{suffix}": node.value}


_Loader.add_multi_constructor("!", _long_form)


def policies_of(env: Environment, kms_key: str = "") -> dict[str, dict[str, Any]]:
    """Return the policy documents of the environment's deploy role by name."""
    stack = role_stack(REPOSITORY, env, "arn:aws:iam::123456789012:oidc-provider/github", kms_key)
    template = _parsed(stack.template)
    declared = {name: given.get("Default") for name, given in template["Parameters"].items()}
    pseudo = {"AWS::Region": env.aws.region, "AWS::AccountId": env.aws.account_id, "AWS::NoValue": NO_VALUE}
    lists = {name for name, given in template["Parameters"].items() if given["Type"] == "CommaDelimitedList"}
    values: dict[str, Any] = {**declared, **stack.parameters, **pseudo}
    values |= {name: str(values[name]).split(",") for name in lists}
    conditions = {name: _resolve(each, values) for name, each in template["Conditions"].items()}
    role = _resolve(template["Resources"]["DeployRole"]["Properties"], values | {"": conditions})
    return {policy["PolicyName"]: policy["PolicyDocument"] for policy in role["Policies"]}


@cache
def _parsed(template: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(template, _Loader)
    return loaded


def _resolve(value: Any, values: Mapping[str, Any]) -> Any:
    """Replace intrinsic functions by their values; `values[""]` holds the conditions."""
    if isinstance(value, list):
        resolved = [_resolve(each, values) for each in value]
        return [each for each in resolved if each is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    match next(iter(value.items()), None):
        case "Ref", str(name):
            return values[name]
        case "Fn::Join", [str(between), items]:
            return between.join(_resolve(items, values))
        case "Fn::Sub", str(text):
            return re.sub(r"\$\{([\w:]+)\}", lambda found: str(values[found[1]]), text)
        case "Fn::If", [condition, yes, no]:
            return _resolve(yes if values[""][condition] else no, values)
        case "Fn::Equals", sides:
            one, other = _resolve(sides, values)
            return one == other
        case "Fn::Not", sides:
            return not _resolve(sides, values)[0]
        case "Fn::Or" | "Fn::And" as operator, sides:
            return {"Fn::Or": any, "Fn::And": all}[operator](_resolve(sides, values))
    return {key: _resolve(each, values) for key, each in value.items()}


def statements_of(env: Environment, kms_key: str = "") -> list[dict[str, Any]]:
    """Return every statement of the environment's deploy role."""
    return [each for document in policies_of(env, kms_key).values() for each in document["Statement"]]


def actions_of(env: Environment, kms_key: str = "") -> set[str]:
    """Return every action that the environment's deploy role allows on something."""
    return {action for statement in statements_of(env, kms_key) for action in listed(statement["Action"])}


def may(env: Environment, action: str, resource: str = "*", *, kms_key: str = "", **context: str) -> bool:
    """Return IAM's decision by the local AWS; a keyword `s3__if_none_match` is the condition key `s3:if-none-match`."""
    keys = {name.replace("__", ":").replace("_", "-").lower(): [value] for name, value in context.items()}
    return decide(list(policies_of(env, kms_key).values()), action, resource, keys) == "allowed"


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as a list of one."""
    return value if isinstance(value, list) else [value]
