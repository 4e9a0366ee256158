"""The errors of the SageMaker runtime API, in its own codes, bodies and sentences."""

import json

from aiohttp import web

from local_aws.places import account_id, region

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


def no_such_endpoint(endpoint: str) -> web.Response:
    """Refuse: the endpoint does not exist, or does not serve yet."""
    message = f"Endpoint {endpoint} of account {account_id()} not found."
    return _error(400, "ValidationError", message, ErrorCode="NO_SUCH_ENDPOINT")


def validation(message: str) -> web.Response:
    """Refuse: the request is invalid."""
    return _error(400, "ValidationError", message)


def too_large(limit: int) -> web.Response:
    """Refuse: the body is larger than an invocation may be."""
    return _error(413, "413", f"HTTP content length exceeded {limit} bytes.")


def unavailable(endpoint: str) -> web.Response:
    """Refuse: the endpoint exists, but none of its instances accepts a connection."""
    message = f"No healthy instance of endpoint {endpoint} accepts connections."
    return _error(503, "ServiceUnavailable", message)


def model_error(endpoint: str, status: int, body: bytes) -> web.Response:
    """Report a container that answered with other than 2xx, not in time (status 0), or broke the connection (0)."""
    kind, code = (
        ("client", "CLIENT_ERROR_FROM_MODEL")
        if 400 <= status < 500
        else ("server", "INTERNAL_FAILURE_FROM_MODEL")
    )
    try:
        original = body.decode()
        what = f'with message "{original}".'
    except UnicodeDecodeError:
        original = ""
        what = "and could not load the entire response body."
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    console = f"https://{region()}.console.aws.amazon.com/cloudwatch/home?region={region()}#logEventViewer:group={group}"
    return _error(
        424,
        "ModelError",
        f"Received {kind} error ({status}) from primary {what} See {console} "
        f"in account {account_id()} for more information.",
        ErrorCode=code,
        LogStreamArn=f"arn:aws:logs:{region()}:{account_id()}:log-group:{group}",
        OriginalMessage=original,
        OriginalStatusCode=status,
    )


def _error(status: int, code: str, message: str, **members: str | int) -> web.Response:
    body = {"Message": message, **members}
    kind = f"{code}:http://internal.amazon.com/coral/com.amazon.sagemaker/"
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type="application/json",
        headers={"x-amzn-ErrorType": kind},
    )
