"""Trust policies evaluated for AssumeRoleWithWebIdentity (pure)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_aws.errors import not_imitated

ACTION = "sts:AssumeRoleWithWebIdentity"
STATEMENT_FIELDS = frozenset({"Sid", "Effect", "Principal", "Action", "Condition"})

Context = Mapping[str, Sequence[str]]
"""Values by lower-case condition key ("token.actions.githubusercontent.com:sub")."""


def like(value: str, pattern: str) -> bool:
    """Match `*` and `?`, and nothing else, as IAM does."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None


_POSITIVE: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": like,
}
_NEGATIVE = {name.replace("String", "StringNot", 1): test for name, test in _POSITIVE.items()}


def allows(policy: Mapping[str, Any], provider_arn: str, context: Context) -> bool:
    """Check whether a trust policy allows `provider_arn`, given the token's condition keys.

    Raises AwsError for an operator, an element or a condition key that is not imitated.
    """
    statements = [s for s in _list(policy["Statement"]) if _applies(s, provider_arn, context)]
    effects = {statement["Effect"] for statement in statements}
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], provider_arn: str, context: Context) -> bool:
    beyond = sorted(statement.keys() - STATEMENT_FIELDS)
    if beyond:
        raise not_imitated(f"{beyond[0]} in a trust policy")
    principal = statement["Principal"]
    federated = [principal] if principal == "*" else _list(principal.get("Federated", []))
    return (
        any(like(ACTION.lower(), action.lower()) for action in _list(statement["Action"]))
        and any(name in ("*", provider_arn) for name in federated)
        and all(
            holds(operator, key, _list(wanted), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    """Evaluate one key of one condition; a key the token lacks satisfies negative tests alone."""
    qualifier, _, name = operator.rpartition(":")
    name, if_exists = name.removesuffix("IfExists"), name.endswith("IfExists")
    test = _POSITIVE.get(name) or _NEGATIVE.get(name)
    if test is None or qualifier not in ("", "ForAnyValue", "ForAllValues"):
        raise not_imitated(f"The condition operator {operator}")
    if key.lower() not in context and key.lower().startswith(("aws:", "sts:")):
        raise not_imitated(f"The condition key {key}")
    values = context.get(key.lower(), ())
    if not values and (if_exists or qualifier == "ForAllValues"):
        return True
    hits = [any(test(value, text) for text in wanted) for value in values]
    if name in _NEGATIVE:
        hits = [not hit for hit in hits]
        return any(hits) if qualifier == "ForAnyValue" else all(hits)
    return all(hits) if qualifier == "ForAllValues" else any(hits)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
