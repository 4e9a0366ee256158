"""AssumeRoleWithWebIdentity: the token verified by its issuer's keys, the role by its trust policy.

Providers and roles are those of moto's IAM. The texts of the errors are AWS's, where they are known.
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from moto.core.responses import ActionResult
from moto.iam.models import OpenIDConnectProvider, Role, iam_backends
from moto.sts import urls
from moto.sts.responses import TokenResponse

from local_aws.errors import AwsError, not_imitated
from local_aws.identity.trust import ACTION, allows
from local_aws.settings import ACCOUNT_ID

CONTEXT_CLAIMS = ("aud", "sub", "amr", "azp")
"""Claims of a token that are condition keys; a condition on any other claim is not met."""
SHORTEST_SESSION_SECONDS = 900
FETCH_SECONDS = 5


def install(issuers: Mapping[str, str]) -> None:
    """Install it in moto's STS, before the first request.

    `issuers` maps an issuer to the URL of its documents, where that is not the issuer itself.
    """

    class WebIdentityResponse(TokenResponse):  # type: ignore[misc]  # moto is untyped here
        def assume_role(self) -> ActionResult:
            arn = self._get_param("RoleArn")
            if not any(role.arn == arn for role in iam_backends[ACCOUNT_ID]["aws"].get_roles()):
                raise AwsError("AccessDenied", f"Not authorized to perform sts:AssumeRole on {arn}", 403)
            return super().assume_role()

        def assume_role_with_web_identity(self) -> ActionResult:
            if self._get_param("Policy") or self._get_param("PolicyArns"):
                raise not_imitated("A session policy of AssumeRoleWithWebIdentity")
            arn, session = self._get_param("RoleArn"), self._get_param("RoleSessionName")
            claims, provider = _verified(self._get_param("WebIdentityToken"), issuers)
            role = _trusting(arn, provider, claims)
            seconds = self._get_int_param("DurationSeconds", 3600)
            if not SHORTEST_SESSION_SECONDS <= seconds <= role.max_session_duration:
                text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
                raise AwsError("ValidationError", text)
            assumed = self.backend.assume_role(self.region, session, arn, None, seconds, None)
            return ActionResult(
                {
                    "Credentials": assumed,
                    "AssumedRoleUser": {"AssumedRoleId": assumed.user_id, "Arn": assumed.arn},
                    "SubjectFromWebIdentityToken": claims["sub"],
                    "Audience": claims["aud"],
                    "Provider": provider.arn,
                }
            )

    urls.url_paths["{0}/$"] = WebIdentityResponse.dispatch


def _verified(token: str, issuers: Mapping[str, str]) -> tuple[dict[str, Any], OpenIDConnectProvider]:
    """Check signature, times and audience of a token; return its claims with their provider. Raises AwsError."""
    try:
        unverified = json.loads(jws.extract_compact(token.encode()).payload)
        issuer = str(unverified["iss"])
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise _invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)") from error  # fmt: skip
    providers = iam_backends[ACCOUNT_ID]["aws"].open_id_providers.values()
    provider = next((p for p in providers if p.url == issuer.partition("://")[2]), None)
    if provider is None:
        raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
    try:
        claims: dict[str, Any] = jwt.decode(token, _keys(issuers.get(issuer, issuer)), ["RS256"]).claims
    except (BadSignatureError, InvalidKeyIdError) as error:
        raise _invalid("Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements") from error  # fmt: skip
    except JoseError as error:
        raise _invalid(f"The ID Token provided is not a valid JWT. ({error})") from error
    _check_claims(claims, provider)
    return claims, provider


def _check_claims(claims: Mapping[str, Any], provider: OpenIDConnectProvider) -> None:
    now = int(time.time())
    absent = [name for name in ("sub", "aud", "exp", "iat") if name not in claims]
    if absent:
        raise _invalid(f"The token has no {absent[0]} claim.")
    if claims["exp"] <= now:
        text = (
            f"Token expired: current date/time {now} must be before the expiration date/time {claims['exp']}"
        )
        raise AwsError("ExpiredTokenException", text)
    if claims.get("nbf", 0) > now:
        raise _invalid(f"The token is not valid before {claims['nbf']}; it is {now}.")
    if claims["aud"] not in provider.client_id_list:
        raise _invalid("Incorrect token audience")


def _keys(url: str) -> KeySet:
    """Fetch the keys of an issuer, as its discovery document names them. Raises AwsError."""
    try:
        found = _get(f"{url.rstrip('/')}/.well-known/openid-configuration")["jwks_uri"]
        return KeySet.import_key_set(_get(found))  # type: ignore[arg-type]  # checked by the import itself
    except (OSError, ValueError, KeyError, JoseError) as error:
        text = f"The keys of the identity provider {url} cannot be read: {error}"
        raise AwsError("IDPCommunicationError", text) from error


def _get(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no web address")
    with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - checked above
        document: dict[str, Any] = json.load(answer)
    return document


def _trusting(arn: str, provider: OpenIDConnectProvider, claims: Mapping[str, Any]) -> Role:
    """Find a role whose trust policy allows the token. Raises AwsError, which like AWS's does not say what failed."""
    context = {
        f"{provider.url}:{name}".lower(): value if isinstance(value, list) else [str(value)]
        for name, value in claims.items()
        if name in CONTEXT_CLAIMS
    }
    for role in iam_backends[ACCOUNT_ID]["aws"].get_roles():
        if role.arn == arn and allows(json.loads(role.assume_role_policy_document), provider.arn, context):
            return role
    raise AwsError("AccessDenied", f"Not authorized to perform {ACTION}", 403)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidIdentityToken", message)
