"""The condition keys of a request, and those that this AWS does not know.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from local_aws.authorisation.calls import Call
from local_aws.authorisation.reference import Action
from local_aws.errors import not_imitated
from local_aws.places import account_id, region

PARAMETERS = {
    "application-autoscaling:service-namespace": "ServiceNamespace",
    "application-autoscaling:scalable-dimension": "ScalableDimension",
    "cloudwatch:namespace": "Namespace",
    "iam:awsservicename": "AWSServiceName",
    "sts:rolesessionname": "RoleSessionName",
    "sts:externalid": "ExternalId",
    "s3:prefix": "prefix",
    "s3:delimiter": "delimiter",
    "s3:max-keys": "max-keys",
    "s3:versionid": "versionId",
}
"""The parameter that gives a key its value."""
S3_HEADERS = ("if-match", "if-none-match")
GIVEN_BY_CALLS = frozenset({"iam:passedtoservice", "kms:grantisforawsresource", "s3:objectcreationoperation"})
"""Keys that single operations set."""
ABSENT = frozenset(
    {
        *("aws:multifactorauthpresent", "aws:multifactorauthage", "aws:sourcevpc", "aws:sourcevpce"),
        *("aws:vpcsourceip", "aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:referer"),
        *("aws:sourceorgid", "aws:principalorgid", "aws:principalorgpaths", "aws:calledvia", "aws:username"),
        *("aws:calledviafirst", "aws:calledvialast", "aws:principalservicename", "aws:federatedprovider"),
        *("aws:tagkeys", "aws:sourceidentity"),
    }
)
"""Global keys that a request here lacks unless they are given: no VPC, organisation or second factor is imitated."""
ABSENT_PREFIXES = ("aws:requesttag/", "aws:principaltag/")


def keys_of(call: Call) -> dict[str, Sequence[str]]:
    """Return the condition keys of a request, besides those of its caller."""
    now = time.time()
    found: dict[str, Sequence[str]] = {
        "aws:currenttime": [datetime.fromtimestamp(now, UTC).isoformat()],
        "aws:epochtime": [str(int(now))],
        "aws:securetransport": ["true"],  # a connection on loopback counts as encrypted
        "aws:sourceip": ["127.0.0.1"],
        "aws:requestedregion": [region()],
        "aws:resourceaccount": [account_id()],
        "aws:viaawsservice": ["false"],
        "aws:principalisawsservice": ["false"],
        "aws:useragent": [call.headers.get("user-agent", "")],
    }
    for key, name in PARAMETERS.items():
        value = call.parameters.get(name)
        if value not in (None, "", []) and key.startswith(f"{call.prefix}:"):
            found[key] = [str(value)]
    return found | _tags(call) | (_s3(call) if call.service == "s3" else {})


def _tags(call: Call) -> dict[str, Sequence[str]]:
    given = call.parameters.get("Tags") or call.parameters.get("tags") or []
    tags = {str(tag.get("Key", tag.get("key"))): str(tag.get("Value", tag.get("value"))) for tag in given} if isinstance(given, list) else given  # fmt: skip
    if not isinstance(tags, dict) or not tags:
        return {}
    return {"aws:tagkeys": list(tags), **{f"aws:requesttag/{k}".lower(): [v] for k, v in tags.items()}}


def _s3(call: Call) -> dict[str, Sequence[str]]:
    signed = "x-amz-signature" not in {name.lower() for name in call.parameters}
    found: dict[str, Sequence[str]] = {
        "s3:authtype": ["REST-HEADER" if signed else "REST-QUERY-STRING"],
        "s3:signatureversion": ["AWS4-HMAC-SHA256"],
        "s3:resourceaccount": [account_id()],
    }
    for name, value in call.headers.items():
        if name in S3_HEADERS or name.startswith("x-amz-"):
            found[f"s3:{name}"] = [value]
    return found


def require_key(key: str, action: Action) -> None:
    """Return when a request that lacks the key lacks it on AWS, too. Raises AwsError for a key that is not known here."""
    name = key.lower()
    if name.startswith("aws:"):
        if name not in ABSENT and not name.startswith(ABSENT_PREFIXES):
            raise not_imitated(f"The condition key {key}")
        return
    if name in PARAMETERS or name in GIVEN_BY_CALLS or name.startswith("s3:x-amz-"):
        return
    if name in {f"s3:{header}" for header in S3_HEADERS}:
        return
    if any(
        name == known or (known.endswith("/") and name.startswith(known)) for known in action.condition_keys
    ):
        raise not_imitated(f"The condition key {key} of {action.name}")
