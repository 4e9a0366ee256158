"""Checks before a call is answered: signature (LOCAL_AWS_STRICT_AUTH=1), rights (LOCAL_AWS_IAM=enforce), faults."""

from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Middleware

from local_aws.authorisation.gate import Gate
from local_aws.errors import AwsError
from local_aws.faults import Faults
from local_aws.front_door import Handler, refusal
from local_aws.places import CURRENT, place_of
from local_aws.signatures import check_signature

RUNTIME = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
OURS = ("/_local_aws/", "/v2/")
"""Paths outside AWS's API: this AWS's own, and the registry, which has its own password."""


def check_requests(faults: Faults, *, strict: bool, gate: Gate | None = None) -> Middleware:
    """Make the middleware that checks each call: its signature, its caller's rights (`gate`), and faults for it."""
    strict = strict or gate is not None

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        lower = {name.lower(): value for name, value in request.headers.items()}
        CURRENT.set(place_of(lower, request.query))
        if not (strict or faults.on) or request.path.startswith(OURS):
            return await handler(request)
        try:
            if strict:
                await check_signature(request)
            if gate is not None:
                await gate.check(request)
            name = await operation(request)
            faults.refuse_call(name)
            answer = await handler(request)
            if not answer.prepared:  # an answer of moto has begun to stream
                faults.lose_answer(name)
        except AwsError as error:
            return refusal(request, error)
        return answer

    return handle


async def operation(request: web.Request) -> str | None:
    """Return the operation of a request in any protocol; None for S3 and other REST services."""
    if request.path.startswith("/endpoints/"):
        return RUNTIME.get(request.path.rpartition("/")[2])
    if "X-Amz-Target" in request.headers:
        return request.headers["X-Amz-Target"].rpartition(".")[2]
    if request.content_type == "application/x-www-form-urlencoded":
        return parse_qs((await request.read()).decode(errors="replace")).get("Action", [None])[0]
    _, found, name = request.path.rpartition("/operation/")
    return name if found else None
