"""InvokeEndpoint, whole or streamed: one request to one instance, and its answer or its error in SageMaker's form."""

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
from local_aws.routing import CONNECT_SECONDS, Lane, Route, Upstream, choose

CONNECTION_TRIES = 3
NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
STREAM_ACCEPT = "X-Amzn-SageMaker-Accept"
STREAM_CONTENT_TYPE = "X-Amzn-SageMaker-Content-Type"
FAULTY = b"a fault was asked for: python -m local_aws fault list"
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


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request to an endpoint, on its way to an instance."""

    request: web.Request
    endpoint: str
    headers: Mapping[str, str]
    body: bytes
    started: float
    streamed: bool
    """Whether the answer goes back piece by piece, as InvokeEndpointWithResponseStream wants it."""

    @property
    def target(self) -> str | None:
        """The variant it is for, if it says."""
        return self.request.headers.get(TARGET_VARIANT)


class Router:
    """The table of endpoints, and the handlers of `/endpoints/{name}/invocations…`."""

    def __init__(
        self,
        *,
        timeout_seconds: float,
        max_payload_bytes: int,
        record: Callable[[Invocation], None],
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
        ask = Ask(
            request=request, endpoint=endpoint, headers=headers, body=body, started=started, streamed=streamed
        )
        return await self._forward(ask)

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

    async def _forward(self, ask: Ask) -> web.StreamResponse:
        """Try instances until one has accepted the connection; from then on there is no second try."""
        tried: list[Upstream] = []
        for _ in range(CONNECTION_TRIES):
            # Read anew: the fleet may have changed during a failed connection.
            route = self.table.get(ask.endpoint)
            chosen = choose(route, ask.target, tried, self._dice) if route else None
            if route is None or chosen is None:
                break
            lane, upstream = chosen
            upstream.enter()
            in_flight, began = upstream.in_flight, perf_counter()
            try:
                response, model_status = await self._ask(ask, lane, upstream)
            except NEVER_CONNECTED:
                tried.append(upstream)
                continue
            finally:
                upstream.leave()
            ended = perf_counter()
            self._record(
                Invocation(
                    endpoint=ask.endpoint,
                    variant=lane.variant,
                    config=lane.config,
                    instance_id=upstream.instance_id,
                    instances=route.instances(lane.variant),
                    model_status=model_status,
                    model_seconds=ended - began,
                    total_seconds=ended - ask.started,
                    in_flight=in_flight,
                )
            )
            return response
        return errors.unavailable(ask.endpoint)

    async def _ask(self, ask: Ask, lane: Lane, upstream: Upstream) -> tuple[web.StreamResponse, int]:
        """Pass the request on; return the response with the container's status, 0 when nothing usable came.

        Raises one of NEVER_CONNECTED only when the connection was never made.
        """
        seconds = self._seconds[ask.streamed]
        try:
            refused = await self._hurt(ask.endpoint, lane.config, upstream.instance_id, seconds)
            if refused:
                return errors.model_error(ask.endpoint, refused, FAULTY), refused
            answer = await upstream.session.post(
                f"{upstream.url}/invocations",
                data=ask.body,
                headers=ask.headers,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
                allow_redirects=False,
            )
            well = 200 <= answer.status < 300
            if not (ask.streamed and well):
                async with answer:
                    body = await answer.read()
        except NEVER_CONNECTED:
            raise
        except TimeoutError:
            return errors.model_error(ask.endpoint, 0, errors.TIMED_OUT.encode()), 0
        except aiohttp.ClientError as error:
            text = f"The connection to the container broke: {type(error).__name__}"
            return errors.model_error(ask.endpoint, 0, text.encode()), 0
        if not well:
            return errors.model_error(ask.endpoint, answer.status, body), answer.status
        headers = _answer_headers(lane, answer, streamed=ask.streamed)
        if not ask.streamed:
            return web.Response(status=200, body=body, headers=headers), answer.status
        response = web.StreamResponse(status=200, headers=headers)
        await response.prepare(ask.request)
        async with answer:
            status = await _relay(answer, response)
        await response.write_eof()
        return response, status

    async def _hurt(self, endpoint: str, config: str, instance_id: str, seconds: float) -> int:
        """Do to a request what faults want; return the status that the container seems to answer, or 0.

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


def _answer_headers(lane: Lane, answer: aiohttp.ClientResponse, *, streamed: bool) -> dict[str, str]:
    kind = answer.headers.get("Content-Type", "application/octet-stream")
    headers = {"x-Amzn-Invoked-Production-Variant": lane.variant}
    if ATTRIBUTES in answer.headers:
        headers[ATTRIBUTES] = answer.headers[ATTRIBUTES]
    if streamed:
        return headers | {"Content-Type": event_stream.CONTENT_TYPE, STREAM_CONTENT_TYPE: kind}
    return headers | {"Content-Type": kind}


async def _relay(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> int:
    """Pass the container's answer on as it comes; return its status, or 0 when it ended too early."""
    chunks = answer.content.iter_any().__aiter__()
    while True:
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            return answer.status
        except TimeoutError:
            event = event_stream.stream_error("ModelInvocationTimeExceeded", errors.TIMED_OUT)
        except aiohttp.ClientError as error:
            text = f"The connection to the container broke: {type(error).__name__}"
            event = event_stream.stream_error("StreamBroken", text)
        else:
            await response.write(event_stream.payload_part(chunk))
            continue
        await response.write(event)
        return 0
