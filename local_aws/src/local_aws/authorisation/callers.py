"""Callers by their credentials: who they are, and the policies of IAM that bind them."""

import json
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from moto.iam.models import ManagedPolicy, Role, User, iam_backends
from moto.sts.models import AssumedRole, sts_backends

from local_aws.authorisation.decision import Caller
from local_aws.authorisation.facts import PARTITION, role_of
from local_aws.authorisation.policies import Policy, Principal
from local_aws.errors import AwsError
from local_aws.places import account_in, account_of, is_administrator
from local_aws.settings import ACCOUNT_ID

CURRENT_KEY: ContextVar[str | None] = ContextVar("access key of the request", default=None)
"""The access key of the request that is being answered, with LOCAL_AWS_IAM=enforce."""
EVERYTHING: Policy = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def caller_of(key: str) -> Caller:
    """Find the caller of an access key. Raises AwsError for one that this AWS does not know."""
    account = account_of(key)
    if is_administrator(key):
        return administrator(account)
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(key)
    if session is not None:
        return _session(session)
    backend = iam_backends[account][PARTITION]
    for user in tuple(backend.users.values()):
        if any(each.access_key_id == key for each in user.access_keys):
            return _user(user, list(backend.groups.values()))
    raise AwsError(
        "UnrecognizedClientException", "The security token included in the request is invalid.", 403
    )


def administrator_arn(account: str) -> str:
    """Return an account's administrator as GetCallerIdentity names it: moto has no such user."""
    return f"arn:aws:iam::{account}:user/moto"


def administrator(account: str = ACCOUNT_ID) -> Caller:
    """Return an account's administrator, who may do everything in it."""
    arn = administrator_arn(account)
    principal = Principal(frozenset({arn}), account=account)
    keys = _keys(arn, "User", "moto", [])
    return Caller(arn, principal, identity=[EVERYTHING], keys=keys, is_root=True)


def role_caller(role: Role, session: str) -> Caller:
    """Return the caller that a service is which has assumed a role."""
    arn = f"arn:aws:sts::{account_in(role.arn)}:assumed-role/{role.name}/{session}"
    return _of_role(role, arn, session, policy=None)


def _session(assumed: AssumedRole) -> Caller:
    role = role_of(assumed.role_arn)
    if role is None:
        raise AwsError(
            "UnrecognizedClientException", "The security token included in the request is invalid.", 403
        )
    return _of_role(role, assumed.arn, assumed.session_name, policy=assumed.policy)


def _of_role(role: Role, arn: str, session: str, *, policy: str | None) -> Caller:
    return Caller(
        arn,
        Principal(frozenset({arn, role.arn}), account=account_in(role.arn)),
        identity=documents(role.policies.values(), role.managed_policies.values()),
        boundary=_boundary(role.permissions_boundary_arn),
        session=[json.loads(policy)] if policy else None,
        keys=_keys(role.arn, "AssumedRole", f"{role.id}:{session}", role.tags or []),
    )


def _user(user: User, groups: Sequence[Any]) -> Caller:
    own = [group for group in groups if user in group.users]
    given = [user.policies.values(), *(group.policies.values() for group in own)]
    attached = [user.managed_policies.values(), *(group.managed_policies.values() for group in own)]
    return Caller(
        user.arn,
        Principal(frozenset({user.arn}), account=account_in(user.arn)),
        identity=documents(
            (one for each in given for one in each), (one for each in attached for one in each)
        ),
        keys=_keys(user.arn, "User", user.id, []) | {"aws:username": [user.name]},
    )


def documents(own: Iterable[str], attached: Iterable[ManagedPolicy]) -> list[dict[str, Any]]:
    """Parse inline policies, and the default versions of attached ones."""
    texts = [
        *own,
        *(version.document for policy in attached for version in policy.versions if version.is_default),
    ]
    return [_parsed(text) for text in texts]


@lru_cache(maxsize=1024)
def _parsed(text: str) -> dict[str, Any]:
    """Parse a policy once: invocations ask for the same ones hundreds of times a second."""
    document: dict[str, Any] = json.loads(text)
    return document


def _boundary(arn: str | None) -> list[dict[str, Any]] | None:
    """Return the boundary's policy; an ARN that leads nowhere allows nothing."""
    if not arn:
        return None
    policy = iam_backends[account_in(arn)][PARTITION].managed_policies.get(arn)
    return documents([], [policy] if policy else [])


def _keys(arn: str, kind: str, user_id: str, tags: Sequence[dict[str, str]]) -> dict[str, Sequence[str]]:
    return {
        "aws:principalarn": [arn],
        "aws:principalaccount": [account_in(arn)],
        "aws:principaltype": [kind],
        "aws:userid": [user_id],
        **{f"aws:principaltag/{tag['Key']}".lower(): [tag["Value"]] for tag in tags},
    }
