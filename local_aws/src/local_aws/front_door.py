"""The one port: invocations to the router, /v2/* to the registry, our operations to our services, the rest to moto."""

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web
from yarl import URL

from local_aws.content_hash import HEADER, HashedBody, check_body, expected_hash, mismatch
from local_aws.error_encoding import encode_error, signing_region
from local_aws.errors import AwsError, LeftToMoto, not_imitated
from local_aws.protocols import Service
from local_aws.settings import REGION
from local_aws.shapes import check_request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-connection",
    }
)


@dataclass(frozen=True)
class ServiceRoute:
    """The route of one AWS service: its implementation here, and the operations left to moto."""

    model: str
    service: Service
    moto_may: Callable[[str], bool]


class RefusedService:
    """A service refused as a whole, because moto would answer from its own half of the resources."""

    actions: frozenset[str] = frozenset()

    async def handle(self, action: str, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Refuse the request."""
        raise not_imitated(f"The operation {action}")


class FrontDoor:
    """The proxy that sends each request to its service here, or to moto."""

    def __init__(self, moto_url: str, service_routes: Mapping[str, ServiceRoute]) -> None:
        self._moto = moto_url
        self._service_routes = service_routes
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connections to moto."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def stop(self) -> None:
        """Close the connections to moto."""
        if self._session is not None:
            await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of a control plane."""
        prefix, _, action = request.headers.get("X-Amz-Target", "").rpartition(".")
        service_route = self._service_routes.get(prefix) if request.method == "POST" else None
        if service_route is None:  # request_checks may have read the body already
            was_read = request.body_exists and not request.can_read_body
            return await self._proxy(request, await request.read() if was_read else None)
        body = await request.read()
        try:
            return _json(await _serve(service_route, action, request, body))
        except LeftToMoto:
            return await self._proxy(request, body)
        except AwsError as error:
            return refusal(request, error)

    async def refuse(self, request: web.Request) -> web.StreamResponse:
        """Refuse a request to which moto would give a canned answer."""
        return refusal(request, not_imitated(f"{request.method} {request.path}"))

    async def _proxy(self, request: web.Request, body: bytes | None) -> web.StreamResponse:
        """Stream a request to moto and the answer back; `body` is given when it was already read."""
        stream = None
        expected = expected_hash(request.headers.get(HEADER))
        if body is None and request.can_read_body:
            pieces = request.content.iter_any()
            stream = HashedBody(pieces, expected) if expected else pieces
        elif expected:
            try:
                check_body(body or b"", expected)
            except AwsError as error:
                return refusal(request, error)
        try:
            return await self._pass(request, body, stream)
        except aiohttp.ClientError:
            if isinstance(stream, HashedBody) and stream.is_wrong:
                return refusal(request, mismatch())
            raise

    async def _pass(
        self, request: web.Request, body: bytes | None, stream: AsyncIterable[bytes] | None
    ) -> web.StreamResponse:
        assert self._session is not None, "start() first"
        async with self._session.request(
            request.method,
            URL(f"{self._moto}{request.raw_path}", encoded=True),
            headers=_without_hops(request.headers, body),
            data=stream if body is None else body,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    response.headers.add(name, value)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def _serve(
    service_route: ServiceRoute, action: str, request: web.Request, body: bytes
) -> dict[str, Any]:
    region = signing_region({name.lower(): value for name, value in request.headers.items()})
    if region not in (None, REGION):
        raise not_imitated(f"The region {region} (this is {REGION}: set AWS_DEFAULT_REGION)")
    is_ours = action in service_route.service.actions
    if not is_ours and not service_route.moto_may(action):
        raise not_imitated(f"The operation {action} of {service_route.model}")
    try:
        parameters = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"The request body is not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise AwsError("SerializationException", "The request body is not a JSON object.")
    check_request(service_route.model, action, parameters)
    if not is_ours:
        raise LeftToMoto
    return await service_route.service.handle(action, parameters)


def refusal(request: web.Request, error: AwsError) -> web.Response:
    """Encode an error in the caller's own protocol."""
    encoded = encode_error(request.headers, error.code, error.message, error.status)
    return web.Response(status=encoded.status, headers=encoded.headers, body=encoded.body)


def _json(answer: dict[str, Any]) -> web.Response:
    return web.Response(
        body=json.dumps(answer).encode(),
        content_type="application/x-amz-json-1.1",
        headers={"x-amzn-RequestId": str(uuid4())},
    )


def _without_hops(headers: Mapping[str, str], body: bytes | None) -> list[tuple[str, str]]:
    """Drop hop-by-hop headers; Host stays, because moto reads buckets and services from it."""
    dropped = HOP_BY_HOP if body is None else HOP_BY_HOP | {"content-length"}
    return [(name, value) for name, value in headers.items() if name.lower() not in dropped]
