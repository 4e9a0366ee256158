"""InvokeEndpoint, whole or streamed: pass a request to one instance, return its answer or SageMaker's error."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

import aiohttp
from aiohttp import web

from local_aws import event_stream
from local_aws import runtime_errors as errors
from local_aws.faults import Faults
from local_aws.routing import CONNECT_SECONDS, Route, Upstream, VariantRoute, choose

CONNECTION_TRIES = 3
NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
STREAM_ACCEPT = "X-Amzn-SageMaker-Accept"
STREAM_CONTENT_TYPE = "X-Amzn-SageMaker-Content-Type"
FAULTY = b"a fault was asked for: python -m local_aws fault list"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
LONGEST_INFERENCE_ID = 64
FORWARDED = ("Content-Type", "Accept", ATTRIBUTES, INFERENCE_ID)
NOT_IMITATED = (
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Enable-Explanations",
    "X-Amzn-SageMaker-Inference-Component",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Prefix-Aware-Id",
)


@dataclass(frozen=True, kw_only=True)
class InvocationOutcome:
    """Outcome and timings of one invocation that reached a variant."""

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


@dataclass(frozen=True, kw_only=True)
class InvocationRequest:
    """One request to an endpoint, on its way to an instance."""

    request: web.Request
    endpoint: str
    headers: Mapping[str, str]
    body: bytes
    started: float
    streamed: bool
    """True for InvokeEndpointWithResponseStream: the answer is sent piece by piece."""

    @property
    def target(self) -> str | None:
        """Name of the target variant, if the request has one."""
        return self.request.headers.get(TARGET_VARIANT)


class Router:
    """The routes of all endpoints, and the handlers of `/endpoints/{name}/invocations…`."""

    def __init__(
        self,
        *,
        timeout_seconds: float,
        max_payload_bytes: int,
        record: Callable[[InvocationOutcome], None],
        stream_seconds: float = 480.0,
        faults: Faults | None = None,
    ) -> None:
        self.table: dict[str, Route] = {}
        self._seconds = {False: timeout_seconds, True: stream_seconds}
        self._max_payload = max_payload_bytes
        self._record = record
        self._faults = faults or Faults()
        self._dice = random.Random()  # noqa: S311 - load balancing, not cryptography

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one invocation as a whole."""
        return await self._handle(request, streamed=False)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer one invocation as an event stream."""
        return await self._handle(request, streamed=True)

    async def _handle(self, request: web.Request, *, streamed: bool) -> web.StreamResponse:
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
        headers = {name: request.headers[name] for name in FORWARDED if name in request.headers}
        if streamed and STREAM_ACCEPT in request.headers:
            headers["Accept"] = request.headers[STREAM_ACCEPT]
        invocation = InvocationRequest(
            request=request, endpoint=endpoint, headers=headers, body=body, started=started, streamed=streamed
        )
        return await self._forward(invocation)

    def _refuse(self, request: web.Request, route: Route) -> web.Response | None:
        """Return a refusal that needs no body, or None."""
        for name in NOT_IMITATED:
            if name in request.headers:
                return errors.validation(f"The header {name} is not imitated by this local AWS.")
        if len(request.headers.get(INFERENCE_ID, "")) > LONGEST_INFERENCE_ID:
            return errors.validation(
                f"1 validation error detected: Value '{request.headers[INFERENCE_ID]}' at 'inferenceId' failed to "
                f"satisfy constraint: Member must have length less than or equal to {LONGEST_INFERENCE_ID}"
            )
        if len(request.headers.get(ATTRIBUTES, "")) > 1024:
            return errors.validation("CustomAttributes must have length less than or equal to 1024.")
        if (request.content_length or 0) > self._max_payload:
            return errors.too_large(self._max_payload)
        target = request.headers.get(TARGET_VARIANT)
        if target is not None and all(
            variant_route.variant != target for variant_route in route.variant_routes
        ):
            return errors.validation(
                f"Variant {target} is not found in endpoint {request.match_info['name']}."
            )
        return None

    async def _forward(self, invocation: InvocationRequest) -> web.StreamResponse:
        """Try instances until one accepts the connection; a request that was sent is not tried again."""
        tried: list[Upstream] = []
        for _ in range(CONNECTION_TRIES):
            # Read anew: the fleet may have changed during a failed connection.
            route = self.table.get(invocation.endpoint)
            chosen = choose(route, invocation.target, tried, self._dice) if route else None
            if route is None or chosen is None:
                break
            variant_route, upstream = chosen
            upstream.enter()
            in_flight, began = upstream.in_flight, perf_counter()
            try:
                response, model_status = await self._send(invocation, variant_route, upstream)
            except NEVER_CONNECTED:
                tried.append(upstream)
                continue
            finally:
                upstream.leave()
            ended = perf_counter()
            self._record(
                InvocationOutcome(
                    endpoint=invocation.endpoint,
                    variant=variant_route.variant,
                    config=variant_route.config,
                    instance_id=upstream.instance_id,
                    instances=route.instances(variant_route.variant),
                    model_status=model_status,
                    model_seconds=ended - began,
                    total_seconds=ended - invocation.started,
                    in_flight=in_flight,
                )
            )
            return response
        return errors.unavailable(invocation.endpoint)

    async def _send(
        self, invocation: InvocationRequest, variant_route: VariantRoute, upstream: Upstream
    ) -> tuple[web.StreamResponse, int]:
        """Send the request; return the response and the container's status, 0 when there was no usable answer.

        Raises one of NEVER_CONNECTED only when the connection was never made.
        """
        seconds = self._seconds[invocation.streamed]
        try:
            refused = await self._apply_faults(
                invocation.endpoint, variant_route.config, upstream.instance_id, seconds
            )
            if refused:
                return errors.model_error(invocation.endpoint, refused, FAULTY), refused
            answer = await upstream.session.post(
                f"{upstream.url}/invocations",
                data=invocation.body,
                headers=invocation.headers,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
                allow_redirects=False,
            )
            well = 200 <= answer.status < 300
            if not (invocation.streamed and well):
                async with answer:
                    body = await answer.read()
        except NEVER_CONNECTED:
            raise
        except TimeoutError:
            return errors.model_error(invocation.endpoint, 0, errors.TIMED_OUT.encode()), 0
        except aiohttp.ClientError as error:
            text = f"The connection to the container broke: {type(error).__name__}"
            return errors.model_error(invocation.endpoint, 0, text.encode()), 0
        if not well:
            return errors.model_error(invocation.endpoint, answer.status, body), answer.status
        headers = _answer_headers(variant_route, answer, streamed=invocation.streamed)
        if not invocation.streamed:
            return web.Response(status=200, body=body, headers=headers), answer.status
        response = web.StreamResponse(status=200, headers=headers)
        await response.prepare(invocation.request)
        async with answer:
            status = await event_stream.relay(answer, response)
        await response.write_eof()
        return response, status

    async def _apply_faults(self, endpoint: str, config: str, instance_id: str, seconds: float) -> int:
        """Apply faults to a request; return the status that a fault gives it, or 0.

        Raises TimeoutError when it would have to wait for longer than `seconds`.
        """
        status, delay = 0, 0.0
        for fault in self._faults.of_instance(endpoint, config, instance_id, "slow", "hang", "errors"):
            if fault.kind == "errors":
                status = 500 if self._dice.random() * 100 < (fault.amount or 0) else status
            else:
                delay += fault.amount / 1000 if fault.amount else seconds
        if delay:
            await asyncio.sleep(min(delay, seconds))
        if delay >= seconds:
            raise TimeoutError
        return status


def _answer_headers(
    variant_route: VariantRoute, answer: aiohttp.ClientResponse, *, streamed: bool
) -> dict[str, str]:
    kind = answer.headers.get("Content-Type", "application/octet-stream")
    headers = {"x-Amzn-Invoked-Production-Variant": variant_route.variant}
    if ATTRIBUTES in answer.headers:
        headers[ATTRIBUTES] = answer.headers[ATTRIBUTES]
    if streamed:
        return headers | {"Content-Type": event_stream.CONTENT_TYPE, STREAM_CONTENT_TYPE: kind}
    return headers | {"Content-Type": kind}
