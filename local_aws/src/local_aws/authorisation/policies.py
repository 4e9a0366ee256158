"""Policies: which statements speak of a request (pure).

A statement whose principal, action and resource fit, and whose condition cannot be evaluated here, is an error: it is
neither an Allow nor a missing Deny.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from local_aws.authorisation.conditions import (
    Context,
    conditions_of,
    holds,
    like,
    like_with_variables,
    listed,
    resolved,
)
from local_aws.errors import not_imitated

Policy = Mapping[str, Any]
FIELDS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"}
    | {"Condition"}
)
WITH_VARIABLES = "2012-10-17"


def every_key(key: str) -> None:
    """Take a key that the request lacks as absent."""


@dataclass(frozen=True)
class Question:
    """One action on one resource, with the condition keys of the request."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)
    require_key: Callable[[str], None] = every_key
    """Raises AwsError for a condition key that AWS has for this request and this AWS does not know."""


@dataclass(frozen=True)
class Principal:
    """The names by which policies know a caller."""

    names: frozenset[str]
    """Of type AWS: ARNs of session, role or user; of Service: the service; of Federated: the provider."""
    kind: str = "AWS"
    account: str = ""
    """Its account, where a policy may name that: ARN of the root, or the number."""


def effects(policies: Iterable[Policy], question: Question, principal: Principal | None = None) -> set[str]:
    """Return the effects (Allow, Deny) of the statements that apply; `principal` for a resource's policies alone."""
    return {
        statement["Effect"]
        for policy in policies
        for statement in listed(policy.get("Statement", []))
        if applies(statement, question, principal, with_variables=policy.get("Version") == WITH_VARIABLES)
    }


def applies(
    statement: Mapping[str, Any], question: Question, principal: Principal | None, *, with_variables: bool
) -> bool:
    """Check whether a statement speaks of the request. Raises AwsError for what is not imitated."""
    beyond = sorted(statement.keys() - FIELDS)
    if beyond:
        raise not_imitated(f"{beyond[0]} in a policy")
    return (
        _fits_action(statement, question.action)
        and (principal is None or names(statement, principal))
        and _fits_resource(statement, question, with_variables=with_variables)
        and all(
            _holds(condition, question, with_variables=with_variables)
            for condition in conditions_of(statement)
        )
    )


def _fits_action(statement: Mapping[str, Any], action: str) -> bool:
    words = tuple(listed(statement.get("Action", statement.get("NotAction", []))))
    return _is_one_of(words, action) is ("Action" in statement)


@lru_cache(maxsize=16384)
def _is_one_of(words: tuple[str, ...], action: str) -> bool:
    return any(like(action.lower(), word.lower()) for word in words)


def _fits_resource(statement: Mapping[str, Any], question: Question, *, with_variables: bool) -> bool:
    """Compare the resource; the policy of a resource may leave its own name out (trust policies, ECR)."""
    words = listed(statement.get("Resource", statement.get("NotResource", "*")))
    if with_variables:
        fits = any(like_with_variables(question.resource, word, question.context) for word in words)
    else:
        fits = any(like(question.resource, word) for word in words)
    return not fits if "NotResource" in statement else fits


def _holds(condition: tuple[str, str, Sequence[str]], question: Question, *, with_variables: bool) -> bool:
    operator, key, wanted = condition
    if key.lower() not in question.context:
        question.require_key(key)
    if with_variables:
        found = [resolved(text, question.context) for text in wanted]
        wanted = [text for text in found if text is not None]
    return holds(operator, key, wanted, question.context)


def names(statement: Mapping[str, Any], principal: Principal) -> bool:
    """Check whether a statement of a resource's policy names the caller, or its account."""
    if "NotPrincipal" in statement:
        raise not_imitated("NotPrincipal in a policy")
    given = statement.get("Principal")
    if given is None:
        raise not_imitated("A statement without Principal in the policy of a resource")
    if given == "*":
        return True
    return any(word == "*" or _is(word, principal) for word in listed(given.get(principal.kind, [])))


def _is(word: str, principal: Principal) -> bool:
    return word in principal.names or is_account(word, principal)


def is_account(word: str, principal: Principal) -> bool:
    """Check whether a word of Principal names the caller's account."""
    account = principal.account
    return bool(account) and word in (account, f"arn:aws:iam::{account}:root")


def naming(policies: Iterable[Policy], is_wanted: Callable[[str], bool]) -> list[Policy]:
    """Keep of each policy the statements with a wanted word in Principal."""
    return [
        {
            **policy,
            "Statement": [each for each in listed(policy.get("Statement", [])) if _has(each, is_wanted)],
        }
        for policy in policies
    ]


def _has(statement: Mapping[str, Any], is_wanted: Callable[[str], bool]) -> bool:
    given = statement.get("Principal", {})
    words = [given] if isinstance(given, str) else [word for each in given.values() for word in listed(each)]
    return any(is_wanted(word) for word in words)
