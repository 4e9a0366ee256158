"""The decision on one action, by every kind of policy, in AWS's words."""

from typing import Any

import pytest

from local_aws.authorisation.decision import Caller, ResourcePolicy, refusal
from local_aws.authorisation.policies import Principal, Question
from local_aws.errors import AwsError, not_imitated

ACCOUNT = "123456789012"
OWNER = "210987654321"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deployer"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/job"
OBJECT = "arn:aws:s3:::releases/weights/a.tar.gz"
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": OBJECT}
DENY = ALLOW | {"Effect": "Deny"}
OTHER = ALLOW | {"Resource": "arn:aws:s3:::another/*"}
BEGINNING = f"User: {SESSION} is not authorized to perform: s3:GetObject on resource: {OBJECT}"


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def caller(**policies: Any) -> Caller:
    principal = Principal(frozenset({SESSION, ROLE}), account=ACCOUNT)
    return Caller(SESSION, principal, **policies)


def answer(
    by: Caller, resource: ResourcePolicy | None = None, context: dict[str, list[str]] | None = None
) -> str | None:
    keys = {name.lower(): values for name, values in (context or {}).items()}
    return refusal(by, Question("s3:GetObject", OBJECT, keys), resource)


def bucket(*statements: dict[str, Any], principal: Any = "*", must_allow: bool = False) -> ResourcePolicy:
    given = [{"Principal": principal} | statement for statement in statements]
    return ResourcePolicy(policy(*given), must_allow=must_allow)


def test_without_a_policy_that_allows_it_an_action_is_refused_in_awss_words() -> None:
    because = "because no identity-based policy allows the s3:GetObject action"

    assert answer(caller()) == f"{BEGINNING} {because}"
    assert answer(caller(identity=[policy(OTHER)])) == f"{BEGINNING} {because}"
    assert answer(caller(identity=[policy(ALLOW)])) is None


def test_a_resource_of_another_account_needs_both_policies() -> None:
    ours, theirs = caller(identity=[policy(ALLOW)]), bucket(ALLOW, principal={"AWS": ROLE})
    account = bucket(ALLOW, principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    asked = Question("s3:GetObject", OBJECT)
    lacking = f"{BEGINNING} because no {{}} policy allows the s3:GetObject action"

    assert refusal(ours, asked, theirs, OWNER) is None
    assert refusal(ours, asked, account, OWNER) is None
    assert refusal(ours, asked, None, OWNER) == lacking.format("resource-based")
    assert refusal(caller(), asked, theirs, OWNER) == lacking.format("identity-based")
    assert refusal(caller(), asked, theirs, ACCOUNT) is None
    bound = caller(identity=[policy(ALLOW)], session=[policy(OTHER)])
    assert refusal(bound, asked, theirs, OWNER) == lacking.format("session")


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ({"identity": [policy(ALLOW), policy(DENY)]}, "an explicit deny in an identity-based policy"),
        ({"identity": [policy(ALLOW)], "boundary": [policy(ALLOW, DENY)]}, "an explicit deny in a permissions boundary"),
        ({"identity": [policy(ALLOW)], "session": [policy(ALLOW, DENY)]}, "an explicit deny in a session policy"),
    ],
)  # fmt: skip
def test_a_denial_goes_before_every_allowance(kind: dict[str, Any], named: str) -> None:
    assert answer(caller(**kind), bucket(ALLOW)) == f"{BEGINNING} with {named}"


def test_a_buckets_denial_goes_before_its_own_allowance_and_the_callers() -> None:
    refused = answer(caller(identity=[policy(ALLOW)]), bucket(ALLOW, DENY))

    assert refused == f"{BEGINNING} with an explicit deny in a resource-based policy"


@pytest.mark.parametrize("kind", ["boundary", "session"])
def test_a_boundary_and_a_session_policy_must_allow_too(kind: str) -> None:
    names = {"boundary": "permissions boundary", "session": "session policy"}
    allowed = {"identity": [policy(ALLOW)], kind: [policy(ALLOW)]}
    refused = {"identity": [policy(ALLOW)], kind: [policy(OTHER)]}

    assert answer(caller(**allowed)) is None
    assert answer(caller(**refused)) == f"{BEGINNING} because no {names[kind]} allows the s3:GetObject action"
    assert answer(caller(boundary=[policy(ALLOW)])) is not None, "a boundary grants nothing"


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": ROLE}, True),
        ({"AWS": [SESSION, "x"]}, True),
        ({"AWS": ROLE.replace("deployer", "another")}, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, False),  # leaves it to the account's own policies
        ({"AWS": ACCOUNT}, False),
        ({"Service": "sagemaker.amazonaws.com"}, False),
    ],
)
def test_a_resource_may_grant_by_itself_what_no_identity_policy_does(principal: Any, allowed: bool) -> None:
    assert (answer(caller(), bucket(ALLOW, principal=principal)) is None) is allowed


def test_a_grant_to_the_role_is_bounded_and_one_to_the_session_itself_is_not() -> None:
    bounded = caller(boundary=[policy(OTHER)])

    assert answer(bounded, bucket(ALLOW, principal={"AWS": ROLE})) is not None
    assert answer(bounded, bucket(ALLOW, principal={"AWS": SESSION})) is None


def test_a_key_or_a_trust_must_allow_and_by_its_account_leaves_the_rest_to_identity_policies() -> None:
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    granted, bare = caller(identity=[policy(ALLOW)]), caller()

    assert "no resource-based policy" in str(answer(granted, bucket(OTHER, must_allow=True)))
    assert answer(granted, bucket(ALLOW, principal=root, must_allow=True)) is None
    assert "no identity-based policy" in str(answer(bare, bucket(ALLOW, principal=root, must_allow=True)))
    assert answer(bare, bucket(ALLOW, principal={"AWS": ROLE}, must_allow=True)) is None


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"NotAction": "s3:DeleteObject", "Resource": "*"}, True),
        ({"NotAction": ["s3:Get*"], "Resource": "*"}, False),
        ({"Action": "S3:getobject", "Resource": "*"}, True),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::another/*"}, True),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::releases/*"}, False),
        ({"Action": "s3:GetObject", "Resource": OBJECT.upper()}, False),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::releases/weights/?.tar.gz"}, True),
    ],
)
def test_actions_and_resources_are_compared_as_iam_does(statement: dict[str, Any], allowed: bool) -> None:
    given = {"Effect": "Allow"} | statement

    assert (answer(caller(identity=[policy(given)])) is None) is allowed


@pytest.mark.parametrize(
    ("resource", "tag", "allowed"),
    [
        ("arn:aws:s3:::releases/${aws:PrincipalTag/team}/*", "weights", True),
        ("arn:aws:s3:::releases/${aws:PrincipalTag/team}/*", "others", False),
        ("arn:aws:s3:::releases/${aws:PrincipalTag/team}/*", "*", False),  # a value's star is a star
        ("arn:aws:s3:::releases/${aws:PrincipalTag/absent}/*", "weights", False),
        ("arn:aws:s3:::releases/${aws:PrincipalTag/absent, 'weights'}/*", "x", True),
    ],
)
def test_policy_variables_stand_for_the_callers_values(resource: str, tag: str, allowed: bool) -> None:
    by = caller(identity=[policy(ALLOW | {"Resource": resource})])
    context = {"aws:PrincipalTag/team": [tag]}

    assert (answer(by, context=context) is None) is allowed


def test_before_2012_a_policy_variable_is_plain_text() -> None:
    resource = "arn:aws:s3:::releases/${aws:PrincipalTag/team}/*"
    by = caller(identity=[policy(ALLOW | {"Resource": resource}, version="2008-10-17")])

    assert answer(by, context={"aws:PrincipalTag/team": ["weights"]}) is not None


def test_a_variable_in_a_condition_stands_for_the_callers_value() -> None:
    condition = {"StringEquals": {"s3:prefix": "${aws:PrincipalTag/team}"}}
    by = caller(identity=[policy(ALLOW | {"Condition": condition})])

    assert answer(by, context={"aws:PrincipalTag/team": ["a"], "s3:prefix": ["a"]}) is None
    assert answer(by, context={"aws:PrincipalTag/team": ["a"], "s3:prefix": ["b"]}) is not None
    assert answer(by, context={"s3:prefix": [""]}) is not None


def test_a_condition_key_that_cannot_be_evaluated_is_an_error_where_it_would_decide() -> None:
    def require(key: str) -> None:
        raise not_imitated(f"The condition key {key}")

    unknown = ALLOW | {"Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}}
    elsewhere = unknown | {"Action": "s3:PutObject"}
    question = Question("s3:GetObject", OBJECT, {}, require)

    with pytest.raises(AwsError, match="aws:ResourceTag/team is not imitated"):
        refusal(caller(identity=[policy(ALLOW, unknown)]), question)
    assert refusal(caller(identity=[policy(ALLOW, elsewhere)]), question) is None


@pytest.mark.parametrize(
    "statement",
    [
        ALLOW | {"Condition": {"BinaryEquals": {"s3:prefix": "x"}}},
        ALLOW | {"Condition": {"StringEquals": {"s3:prefix": "${*}"}}},
        ALLOW | {"Whenever": "x"},
    ],
)
def test_what_is_not_evaluated_is_neither_allowed_nor_ignored(statement: dict[str, Any]) -> None:
    with pytest.raises(AwsError, match="not imitated"):
        answer(caller(identity=[policy(statement)]), context={"s3:prefix": ["x"]})
