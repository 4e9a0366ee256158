"""IAM's condition operators, patterns and policy variables (pure).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from local_aws.errors import not_imitated

Context = Mapping[str, Sequence[str]]
"""Values by lower-case condition key ("token.actions.githubusercontent.com:sub")."""

VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": r"\*", "?": r"\?", "$": r"\$"}
_WILDCARDS = {"*": ".*", "?": "."}
_NEVER = r"(?!)"


def like(value: str, pattern: str) -> bool:
    """Match `*` and `?`, and nothing else, as IAM does."""
    if "*" not in pattern and "?" not in pattern:
        return value == pattern
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_wild(pattern), re.DOTALL)


def like_with_variables(value: str, pattern: str, context: Context) -> bool:
    """Match a pattern whose policy variables stand for the values of the request, without their wildcards."""
    if "${" not in pattern:
        return like(value, pattern)
    return re.fullmatch(_expression(pattern, context, _wild), value, re.DOTALL) is not None


def _wild(text: str) -> str:
    return "".join(_WILDCARDS.get(character, re.escape(character)) for character in text)


def _expression(pattern: str, context: Context, rest: Callable[[str], str]) -> str:
    pieces = VARIABLE.split(pattern)  # text and names of variables in turn
    return "".join(
        _variable(piece, context) if number % 2 else rest(piece) for number, piece in enumerate(pieces)
    )


def _variable(inner: str, context: Context) -> str:
    """Return the expression of one `${…}`; a variable without a value matches nothing."""
    if inner in _LITERALS:
        return _LITERALS[inner]
    key, _, default = (part.strip() for part in inner.partition(","))
    values = context.get(key.lower(), ())
    if len(values) == 1:
        return re.escape(values[0])
    return re.escape(default.strip("'")) if default and not values else _NEVER


Test = Callable[[str, str], bool]


def _numbers(compare: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return test


def _moment(text: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _dates(compare: Callable[[float, float], bool]) -> Test:
    def test(value: str, wanted: str) -> bool:
        try:
            return compare(_moment(value), _moment(wanted))
        except ValueError:
            return False

    return test


def _in_network(value: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _arn_like(value: str, pattern: str) -> bool:
    """Compare ARNs part by part: a wildcard does not reach over one of the first five colons."""
    values, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(values) == len(patterns) and all(map(like, values, patterns))


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda one, other: one == other,
    "LessThan": lambda one, other: one < other,
    "LessThanEquals": lambda one, other: one <= other,
    "GreaterThan": lambda one, other: one > other,
    "GreaterThanEquals": lambda one, other: one >= other,
}
_POSITIVE: dict[str, Test] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "IpAddress": _in_network,
    **{f"Numeric{name}": _numbers(compare) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": _dates(compare) for name, compare in _COMPARISONS.items()},
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
QUALIFIERS = ("", "ForAnyValue", "ForAllValues")


def holds(operator: str, key: str, wanted: Sequence[str], context: Context) -> bool:
    """Evaluate one key of one condition; a key that the request lacks satisfies negative tests alone.

    Raises AwsError for an operator that is not imitated.
    """
    values = context.get(key.lower(), ())
    if operator == "Null":
        return any((not values) == (text.lower() == "true") for text in wanted)
    qualifier, _, name = operator.rpartition(":")
    name, if_exists = name.removesuffix("IfExists"), name.endswith("IfExists")
    test = _POSITIVE.get(_NEGATED.get(name, name))
    if test is None or qualifier not in QUALIFIERS:
        raise not_imitated(f"The condition operator {operator}")
    if not values and (if_exists or qualifier == "ForAllValues"):
        return True
    hits = [any(test(value, text) for text in wanted) for value in values]
    if name in _NEGATED:
        hits = [not hit for hit in hits]
        return any(hits) if qualifier == "ForAnyValue" else all(hits)
    return all(hits) if qualifier == "ForAllValues" else any(hits)


def resolved(text: str, context: Context) -> str | None:
    """Replace the policy variables of a condition's value; None when one has no value.

    Raises AwsError for `${*}`, `${?}` and `${$}`, which are imitated in resources alone.
    """
    found: list[str] = []
    for number, piece in enumerate(VARIABLE.split(text)):
        if number % 2 == 0:
            found.append(piece)
            continue
        key, _, default = (part.strip() for part in piece.partition(","))
        if key in _LITERALS:
            raise not_imitated(f"${{{key}}} in a condition")
        values = context.get(key.lower(), ())
        if len(values) != 1 and not (default and not values):
            return None
        found.append(values[0] if values else default.strip("'"))
    return "".join(found)


def conditions_of(statement: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """List (operator, key, wanted values) of a statement."""
    return [
        (operator, key, [_text(value) for value in listed(wanted)])
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def listed(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as a list of one."""
    return value if isinstance(value, list) else [value]
