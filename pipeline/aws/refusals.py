"""AWS's error codes and texts as errors with a fix, and the codes that mean "there is no such thing"."""

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from pipeline.aws.calls import Call
from pipeline.errors import AwsRefused, AwsUnreachable, PipelineError

# A name that was just made is not yet known everywhere: these refusals are worth a second try.
NOT_YET_KNOWN = ("Could not find model", "Could not find endpoint configuration", "Could not assume role")

# Models and endpoint configs are named by their content: one that exists already has that content.
ALREADY_MADE = ("Cannot create already existing model", "Cannot create already existing endpoint conf")

ALREADY_GONE = ("delete_", "deregister_")  # operations that delete the thing they name

_NOT_FOUND_CODES = frozenset(
    {"404", "NotFound", "NoSuchKey", "NoSuchEntity", "NoSuchBucket", "NoSuchPublicAccessBlockConfiguration"}
    | {"NotFoundException", "ResourceNotFound", "ObjectNotFoundException"}
    | {"ImageNotFoundException", "RepositoryNotFoundException"}
)
_NOT_FOUND_TEXTS = ("Could not find", "does not exist", "not found")
_INVALID = frozenset({"ValidationException", "ValidationError"})  # SageMaker's and CloudFormation's
_CREDENTIALS = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)

_THROTTLES = frozenset(
    {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
)
_LOST = (NoConnection, HTTPClientError)  # the second one: the connection broke


def is_passing(error: ClientError | BotoCoreError) -> bool:
    """Say whether the same call may succeed a little later: throttled, an error within AWS, or no network."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response["Error"].get("Code") in _THROTTLES or status >= 500
    return isinstance(error, _LOST)


def is_not_found(error: AwsRefused) -> bool:
    """Say whether AWS refused because there is no such thing."""
    says_so = any(text in error.message for text in _NOT_FOUND_TEXTS)
    return error.code in _NOT_FOUND_CODES or (error.code in _INVALID and says_so)


def is_already_deleted(call: Call, error: AwsRefused) -> bool:
    """Say whether a deletion found nothing: an earlier try, whose answer was lost, has deleted it."""
    return call.operation.startswith(ALREADY_GONE) and is_not_found(error)


def explained(doing: str, error: ClientError | BotoCoreError) -> PipelineError:
    """Turn an exception of boto3 into an error with a fix."""
    if isinstance(error, ClientError):
        answer = error.response["Error"]
        return refusal(doing, answer.get("Code", "?"), answer.get("Message", ""))
    return lost_answer(doing, error)


def lost_answer(doing: str, error: Exception) -> AwsUnreachable:
    """Return the error for a call without an answer, or with a part of one."""
    return AwsUnreachable(
        f"{doing}: {error}",
        fix="Check network, credentials (`aws sts get-caller-identity`) and AWS_ENDPOINT_URL.",
    )


def refusal(doing: str, code: str, message: str) -> PipelineError:
    """Turn AWS's answer into an error that says what to do about it."""
    if code in _CREDENTIALS:
        return AwsUnreachable(
            f"{doing}: {code}: {message}", fix="Get fresh credentials, then run the same command again."
        )
    fix = "Read the message; the same command can be run again once its cause is gone."
    if "AccessDenied" in code:
        fix = "Give the role of these credentials the permission that the message names."
    return AwsRefused(doing, code=code, message=message, fix=fix)
