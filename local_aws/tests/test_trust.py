"""Trust policies, statement by statement: who is let in by which condition."""

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.identity.trust import allows

PROVIDER = "arn:aws:iam::123456789012:oidc-provider/issuer.example"
CONTEXT = {
    "issuer.example:sub": ["repo:ORG/REPO:environment:production"],
    "issuer.example:aud": ["sts.amazonaws.com"],
    "issuer.example:amr": ["one", "two"],
}
SUB, AUD, AMR, ABSENT = (f"issuer.example:{name}" for name in ("sub", "aud", "amr", "azp"))


def statement(**changes: Any) -> dict[str, Any]:
    made = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
    }
    return made | changes


def is_let_in(*statements: dict[str, Any]) -> bool:
    return allows({"Version": "2012-10-17", "Statement": list(statements)}, PROVIDER, CONTEXT)


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("StringEquals", SUB, "repo:ORG/REPO:environment:production", True),
        ("StringEquals", SUB.upper(), "repo:ORG/REPO:environment:production", True),  # keys have no case
        ("StringEquals", SUB, "repo:org/repo:environment:production", False),  # values do
        ("StringEquals", SUB, ["repo:ORG@1/REPO@2:environment:production", CONTEXT[SUB][0]], True),
        ("StringEquals", SUB, "repo:ORG/REPO:*", False),  # no wildcard
        ("StringEquals", ABSENT, "x", False),
        ("StringEqualsIfExists", ABSENT, "x", True),
        ("StringEqualsIgnoreCase", SUB, "repo:org/repo:environment:production", True),
        ("StringNotEquals", SUB, ["a", "b"], True),
        ("StringNotEquals", SUB, ["a", CONTEXT[SUB][0]], False),
        ("StringNotEquals", ABSENT, "a", True),
        ("StringLike", SUB, "repo:ORG/*", True),
        ("StringLike", SUB, "repo:ORG/REP?:environment:production", True),
        ("StringLike", SUB, "repo:ORG/[A-Z]*", False),  # brackets are themselves
        ("StringLike", SUB, "repo:ORG/REPO", False),  # the whole value
        ("StringNotLike", SUB, "repo:OTHER/*", True),
        ("ForAnyValue:StringEquals", AMR, ["two", "three"], True),
        ("ForAllValues:StringEquals", AMR, ["two", "three"], False),
        ("ForAllValues:StringEquals", AMR, ["one", "two", "three"], True),
        ("ForAllValues:StringEquals", ABSENT, ["x"], True),  # AWS's own trap
        ("ForAnyValue:StringEquals", ABSENT, ["x"], False),
    ],
)
def test_a_condition_is_evaluated_as_iam_does(operator: str, key: str, wanted: Any, expected: bool) -> None:
    assert is_let_in(statement(Condition={operator: {key: wanted}})) is expected


def test_all_conditions_must_hold() -> None:
    right, wrong = {SUB: CONTEXT[SUB]}, {AUD: "somebody-else"}

    assert is_let_in(statement(Condition={"StringEquals": right, "StringLike": {AUD: "sts*"}}))
    assert not is_let_in(statement(Condition={"StringEquals": right | wrong}))
    assert not is_let_in(statement(Condition={"StringLike": right, "StringEquals": wrong}))


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"Federated": PROVIDER.replace("issuer", "other")}},
        {"Principal": {"Service": "sagemaker.amazonaws.com"}},
        {"Action": "sts:AssumeRole"},
        {"Effect": "Deny"},
    ],
)
def test_a_statement_for_somebody_else_lets_nobody_in(change: dict[str, Any]) -> None:
    assert is_let_in(statement())
    assert not is_let_in(statement(**change))


def test_one_statement_suffices_and_a_denial_goes_before_it() -> None:
    denial = statement(Effect="Deny", Condition={"StringLike": {SUB: "*:environment:production"}})

    assert is_let_in(statement(Action="sts:AssumeRole"), statement(Action=["sts:Tag*", "sts:Assume*"]))
    assert not is_let_in(statement(), denial)


@pytest.mark.parametrize(
    "change",
    [
        {"Condition": {"BinaryEquals": {AUD: "c3Rz"}}},
        {"Condition": {"ForSomeValues:StringEquals": {AUD: "x"}}},
        {"Condition": {"StringEquals": {"aws:SourceIp": "10.0.0.1"}}},
        {"NotPrincipal": {"AWS": "*"}},
    ],
)
def test_what_is_not_imitated_is_an_error(change: dict[str, Any]) -> None:
    with pytest.raises(AwsError, match="not imitated"):
        is_let_in(statement(**change))
