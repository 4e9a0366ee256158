"""SigV4 checked with botocore's own signer: the request is signed again, and must come out the same."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from local_aws.content_hash import HEADER, check_body
from local_aws.errors import AwsError
from local_aws.places import account_of, is_administrator
from local_aws.settings import CREDENTIALS

UNSIGNED = ("AssumeRoleWithWebIdentity", "AssumeRoleWithSAML")
CLOCK_SKEW_SECONDS = 300
FORM = "application/x-www-form-urlencoded"


async def check_signature(request: web.Request) -> None:
    """Accept a request that is signed by somebody this AWS knows, and in time. Raises AwsError."""
    query = "X-Amz-Signature" in request.query
    given = dict(request.query) if query else _authorization(request.headers.get("Authorization", ""))
    if not given:
        called = await request.text() if request.content_type == FORM else ""
        if any(name in called for name in UNSIGNED):
            return
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    try:
        key, _, region, service, _ = given["X-Amz-Credential"].split("/")
        names, signature = given["X-Amz-SignedHeaders"].split(";"), given["X-Amz-Signature"]
        stamp = given.get("X-Amz-Date") or request.headers["X-Amz-Date"]
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except (KeyError, ValueError) as error:
        raise AwsError("IncompleteSignature", f"The signature cannot be read: {error}", 403) from error
    token = given.get("X-Amz-Security-Token") or request.headers.get("X-Amz-Security-Token")
    credentials = known_credentials(key, token)
    lifetime = int(given.get("X-Amz-Expires", CLOCK_SKEW_SECONDS))
    if not -CLOCK_SKEW_SECONDS <= (datetime.now(UTC) - at).total_seconds() <= lifetime:
        raise AwsError("SignatureDoesNotMatch", f"Signature expired: {stamp} is not now", 403)
    kind: Any = S3SigV4QueryAuth if query else S3SigV4Auth if service == "s3" else SigV4Auth
    body = b"" if service == "s3" else await request.read()  # S3's are streams: the front door looks at them
    if service != "s3":
        check_body(body, request.headers.get(HEADER))
    expected = _sign(kind(credentials, service, region), request, names, stamp, body)
    if not hmac.compare_digest(expected, signature):
        text = "The request signature we calculated does not match the signature you provided."
        raise AwsError("SignatureDoesNotMatch", text, 403)


def known_credentials(key: str, token: str | None) -> Credentials:
    """Find the secret of an access key: the one of the exports, a user's, or a role session's. Raises AwsError."""
    if is_administrator(key):
        return Credentials(key, CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    role = sts_backends[account_of(key)]["aws"].get_assumed_role_from_access_key(key)
    if role is not None and role.session_token == token:
        if role.expiration.replace(tzinfo=UTC) < datetime.now(UTC):
            raise AwsError(
                "ExpiredTokenException", "The security token included in the request is expired", 403
            )
        return Credentials(key, role.secret_access_key, token)
    for known in iam_backends[account_of(key)]["aws"].get_all_access_keys_for_all_users():
        if known.access_key_id == key and role is None:
            return Credentials(key, known.secret_access_key)
    raise AwsError(
        "UnrecognizedClientException", "The security token included in the request is invalid.", 403
    )


def _authorization(header: str) -> dict[str, str]:
    """Read `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` under the names of a signed URL."""
    algorithm, _, rest = header.partition(" ")
    if algorithm != "AWS4-HMAC-SHA256":
        return {}
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {f"X-Amz-{name}": value for name, _, value in pairs}


def _sign(signer: Any, request: web.Request, names: list[str], stamp: str, body: bytes) -> str:
    path, _, query = request.raw_path.partition("?")
    kept = "&".join(p for p in query.split("&") if not p.startswith("X-Amz-Signature="))
    url = f"http://{request.host}{path}" + (f"?{kept}" if kept else "")
    headers: Mapping[str, str] = {name: request.headers.get(name, "") for name in names}
    again = AWSRequest(request.method, url, headers=headers, data=body)
    again.context["timestamp"] = stamp
    text = signer.string_to_sign(again, signer.canonical_request(again))
    signature: str = signer.signature(text, again)
    return signature
