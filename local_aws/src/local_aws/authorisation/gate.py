"""The gate before every call: the caller's rights, in AWS's words and in the protocol of the call."""

import logging
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs

from aiohttp import web

from local_aws.authorisation.callers import CURRENT_KEY, caller_of
from local_aws.authorisation.calls import FORM, Call, read_call, signed_for
from local_aws.authorisation.decision import Caller, refusal
from local_aws.authorisation.facts import ExistingResources, bucket_named
from local_aws.authorisation.operations import questions
from local_aws.authorisation.policies import Question
from local_aws.authorisation.resource_policies import ASSUME, owner_of, policy_of
from local_aws.errors import AwsError, not_imitated
from local_aws.places import credential_scope

UNSIGNED = frozenset({"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"})
CODES = {"s3": "AccessDenied", "sns": "AuthorizationError", "ec2": "UnauthorizedOperation"}
"""The code of a refusal, where it is neither a JSON service's AccessDeniedException nor AccessDenied."""
ACCESS_DENIED = frozenset({"iam", "sts", "cloudwatch", "cloudformation"})
FORBIDDEN = 403
WRITES_OF_STACKS = ("Create", "Update", "Delete", "Execute", "Continue", "Rollback", "Cancel")

log = logging.getLogger(__name__)


class Gate:
    """The authorisation of calls; one for a running AWS."""

    def __init__(self, facts: ExistingResources) -> None:
        self._facts = facts

    async def check(self, request: web.Request) -> None:
        """Return when the caller may make the call. Raises AwsError, in AWS's words, when it may not."""
        key = access_key(request)
        if key is None:
            await _require_unsigned(request)
            return
        CURRENT_KEY.set(key)
        caller = caller_of(key)
        if caller.is_root and not await _binds_administrators(request, caller):
            return
        call = await read_call(request)
        asked = self.asked(call, caller)
        require(asked, caller, call)
        if any(question.action == "iam:CreateServiceLinkedRole" for question in asked):
            self._facts.make_linked_role()

    def asked(self, call: Call, caller: Caller) -> tuple[Question, ...]:
        """List what a call asks of a caller. Raises AwsError for one that is not mapped, or not imitated."""
        if call.service == "cloudformation" and call.operation.startswith(WRITES_OF_STACKS):
            raise not_imitated("A stack in the name of anybody but the administrator")
        if call.service == "sts" and call.parameters.get("PolicyArns"):
            raise not_imitated("PolicyArns of AssumeRole")
        return questions(call, self._facts, caller.keys)


def require(asked: Iterable[Question], caller: Caller, call: Call) -> None:
    """Return when every question is answered by Allow. Raises AwsError with the first refusal."""
    for question in asked:
        text = refusal(caller, question, policy_of(question), owner_of(question))
        if text is not None:
            log.info("refused: %s", text)
            raise denial(call, text)


def denial(call: Call, text: str) -> AwsError:
    """Return AWS's error for a refusal, as the service of the call has it."""
    if call.service == "ec2":
        text = f"You are not authorized to perform this operation. {text}"
    if call.service in CODES:
        return AwsError(CODES[call.service], text, FORBIDDEN)
    if call.service in ACCESS_DENIED:
        return AwsError("AccessDenied", text, FORBIDDEN)
    if call.service == "sagemaker-runtime":
        return AwsError("AccessDeniedException", text, FORBIDDEN)
    return AwsError("AccessDeniedException", text)


def access_key(request: web.Request) -> str | None:
    """Read the access key that a request is signed with; None when it is not signed."""
    return key_of(request.headers, request.query)


def key_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Read the access key of an Authorization header or of a signed URL."""
    lower = {name.lower(): value for name, value in headers.items()}
    return credential_scope(lower, query)[0] or None


async def _require_unsigned(request: web.Request) -> None:
    """Return for the calls that need no signature, because their token is the proof."""
    body = (await request.read()).decode(errors="replace") if request.content_type == FORM else ""
    if request.method != "POST" or parse_qs(body).get("Action", [""])[0] not in UNSIGNED:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", FORBIDDEN)


async def _binds_administrators(request: web.Request, caller: Caller) -> bool:
    """Check for a call that may be refused to an administrator: another account's policies have a say in it."""
    if _is_another_accounts(request, caller):
        return True
    return await _assumes_a_role(request) or await _names_a_registry(request)


def _is_another_accounts(request: web.Request, caller: Caller) -> bool:
    """Check for the bucket of another account."""
    bucket = bucket_named(request.path.lstrip("/").partition("/")[0])
    return (
        bucket is not None and bucket.account_id != caller.principal.account and signed_for(request) == "s3"
    )


async def _names_a_registry(request: web.Request) -> bool:
    """Check for a call to ECR that names a registry: it may be another account's."""
    if not request.headers.get("X-Amz-Target", "").startswith("AmazonEC2ContainerRegistry"):
        return False
    return b'"registryId"' in await request.read()


async def _assumes_a_role(request: web.Request) -> bool:
    """Check for AssumeRole, in which the role's trust binds the administrator, too."""
    if request.method != "POST" or request.content_type != FORM:
        return False
    action = parse_qs((await request.read()).decode(errors="replace")).get("Action", [""])[0]
    return f"sts:{action}" == ASSUME
