"""The place of a call: the account of its credentials and the Region that it is signed for.

`CURRENT` is set before a request is answered, here and in moto's threads; the tasks that a request begins inherit it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache

import boto3
from moto.iam.models import get_account_id_from

from local_aws.settings import ACCOUNT_ID, CREDENTIALS, REGION

_ACCOUNT = re.compile(r"\d{12}")
_ELSEWHERE = re.compile(r"(?P<account>\d{12})\.(?P<region>[a-z]+(?:-[a-z]+)+-\d)/(?P<name>.+)")


@dataclass(frozen=True)
class Place:
    """One account in one Region."""

    account: str = ACCOUNT_ID
    region: str = REGION


HOME = Place()
"""The account and Region of the exported credentials."""
CURRENT: ContextVar[Place] = ContextVar("account and Region of the request", default=HOME)


def account_id() -> str:
    """Return the account in which the request is answered."""
    return CURRENT.get().account


def region() -> str:
    """Return the Region in which the request is answered."""
    return CURRENT.get().region


@cache
def regions_of_aws() -> frozenset[str]:
    """List the Regions that AWS has."""
    return frozenset(boto3.Session().get_available_regions("cloudwatch"))


@contextmanager
def at(place: Place) -> Iterator[None]:
    """Do the work of a block, and what it begins, in a place."""
    token = CURRENT.set(place)
    try:
        yield
    finally:
        CURRENT.reset(token)


def is_administrator(key: str) -> bool:
    """Check for the key of an account's administrator: the exported one, or an account's twelve digits."""
    return key == CREDENTIALS["AWS_ACCESS_KEY_ID"] or _ACCOUNT.fullmatch(key) is not None


def account_of(key: str) -> str:
    """Return the account of an access key; of one that nobody was given, the exported credentials' account."""
    if _ACCOUNT.fullmatch(key):
        return key
    account: str = ACCOUNT_ID if is_administrator(key) else get_account_id_from(key)
    return account


def place_of(headers: Mapping[str, str], query: Mapping[str, str]) -> Place:
    """Read the place of a request from its signature; HOME where it has none. Headers are in small letters."""
    scope = credential_scope(headers, query)
    return Place(account_of(scope[0]), scope[2]) if len(scope) == 5 else HOME


def credential_scope(headers: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """Return key, day, Region, service and version of a signature; less where there is none."""
    _, found, rest = headers.get("authorization", "").partition("Credential=")
    scope = rest if found else query.get("X-Amz-Credential", "")
    return scope.split(",")[0].strip().split("/")


def account_in(arn: str) -> str:
    """Return the account in an ARN; nothing for ARNs that have none."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else ""


def region_in(arn: str) -> str:
    """Return the Region in an ARN; nothing for ARNs that have none."""
    parts = arn.split(":", 5)
    return parts[3] if len(parts) == 6 else ""


def path_of(name: str, place: Place) -> str:
    """Return a repository's path in the one registry behind all: after ACCOUNT.REGION, except at home."""
    return name if place == HOME else f"{place.account}.{place.region}/{name}"


def split_path(path: str) -> tuple[Place, str]:
    """Split a path in the registry into the place of its repository, and the repository's name."""
    found = _ELSEWHERE.fullmatch(path)
    return (Place(found["account"], found["region"]), found["name"]) if found else (HOME, path)
