"""InvokeEndpoint: one request to one instance, and its answer or its error in SageMaker's form."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import aiohttp
from aiohttp import web

from local_aws import runtime_errors as errors
from local_aws.routing import CONNECT_SECONDS, Lane, Route, Upstream, choose

CONNECTION_TRIES = 3
NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
FORWARDED = ("Content-Type", "Accept", ATTRIBUTES, "X-Amzn-SageMaker-Inference-Id")
NOT_IMITATED = (
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Enable-Explanations",
    "X-Amzn-SageMaker-Inference-Component",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Prefix-Aware-Id",
)


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What is measured of one request that reached a variant."""

    endpoint: str
    variant: str
    config: str
    instance_id: str
    instances: int
    model_status: int
    """HTTP status of the container; 0 when it timed out or broke the connection."""
    model_seconds: float
    total_seconds: float
    in_flight: int


@dataclass(frozen=True)
class ModelAnswer:
    """What came back from the container; status 0 when nothing usable did, and then `body` says why."""

    status: int
    content_type: str
    attributes: str | None
    """X-Amzn-SageMaker-Custom-Attributes, if the container sets it."""
    body: bytes
    seconds: float


class Router:
    """The table of endpoints, and the handler of `/endpoints/{name}/invocations`."""

    def __init__(
        self, *, timeout_seconds: float, max_payload_bytes: int, record: Callable[[Invocation], None]
    ) -> None:
        self.table: dict[str, Route] = {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_SECONDS)
        self._max_payload = max_payload_bytes
        self._record = record
        self._dice = random.Random()  # noqa: S311 - load balancing, not cryptography

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one invocation."""
        started = perf_counter()
        endpoint = request.match_info["name"]
        route = self.table.get(endpoint)
        if route is None:
            return errors.no_such_endpoint(endpoint)
        refusal = self._refuse(request, route)
        if refusal is not None:
            return refusal
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return errors.too_large(self._max_payload)
        target = request.headers.get(TARGET_VARIANT)
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        return await self._forward(endpoint, target, headers, body, started)

    def _refuse(self, request: web.Request, route: Route) -> web.Response | None:
        """Say no before the body is read, or None."""
        for name in NOT_IMITATED:
            if name in request.headers:
                return errors.validation(f"The header {name} is not imitated by this local AWS.")
        if len(request.headers.get(ATTRIBUTES, "")) > 1024:
            return errors.validation("CustomAttributes must have length less than or equal to 1024.")
        if (request.content_length or 0) > self._max_payload:
            return errors.too_large(self._max_payload)
        target = request.headers.get(TARGET_VARIANT)
        if target is not None and all(lane.variant != target for lane in route.lanes):
            return errors.validation(
                f"Variant {target} is not found in endpoint {request.match_info['name']}."
            )
        return None

    async def _forward(
        self, endpoint: str, target: str | None, headers: dict[str, str], body: bytes, started: float
    ) -> web.Response:
        """Try instances until one has accepted the connection; from then on there is no second try."""
        tried: list[Upstream] = []
        for _ in range(CONNECTION_TRIES):
            route = self.table.get(
                endpoint
            )  # read anew: the fleet may have changed during a failed connection
            chosen = choose(route, target, tried, self._dice) if route else None
            if route is None or chosen is None:
                return errors.unavailable(endpoint)
            lane, upstream = chosen
            upstream.enter()
            in_flight = upstream.in_flight
            try:
                answer = await self._ask(upstream, headers, body)
            except NEVER_CONNECTED:
                tried.append(upstream)
                continue
            finally:
                upstream.leave()
            self._record(
                Invocation(
                    endpoint=endpoint,
                    variant=lane.variant,
                    config=lane.config,
                    instance_id=upstream.instance_id,
                    instances=route.instances(lane.variant),
                    model_status=answer.status,
                    model_seconds=answer.seconds,
                    total_seconds=perf_counter() - started,
                    in_flight=in_flight,
                )
            )
            return _respond(endpoint, lane, answer)
        return errors.unavailable(endpoint)

    async def _ask(self, upstream: Upstream, headers: dict[str, str], body: bytes) -> ModelAnswer:
        """Pass the request on; raises one of NEVER_CONNECTED only when the connection was never made."""
        began = perf_counter()
        try:
            async with upstream.session.post(
                f"{upstream.url}/invocations",
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                kind = answer.headers.get("Content-Type", "application/octet-stream")
                attributes = answer.headers.get(ATTRIBUTES)
                return ModelAnswer(answer.status, kind, attributes, content, perf_counter() - began)
        except NEVER_CONNECTED:
            raise
        except TimeoutError:
            return ModelAnswer(0, "", None, errors.TIMED_OUT.encode(), perf_counter() - began)
        except aiohttp.ClientError as error:
            text = f"The connection to the container broke: {type(error).__name__}"
            return ModelAnswer(0, "", None, text.encode(), perf_counter() - began)


def _respond(endpoint: str, lane: Lane, answer: ModelAnswer) -> web.Response:
    """Give the container's answer to the client; anything but 2xx is a ModelError."""
    if not 200 <= answer.status < 300:
        return errors.model_error(endpoint, answer.status, answer.body)
    response = web.Response(status=200, body=answer.body)
    response.headers["x-Amzn-Invoked-Production-Variant"] = lane.variant
    response.headers["Content-Type"] = answer.content_type
    if answer.attributes is not None:
        response.headers[ATTRIBUTES] = answer.attributes
    return response
