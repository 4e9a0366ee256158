"""The proxy for /v2/*: the registry, with ECR's rules for logins and tags.

Bodies pass as streams in both directions, so a layer of any size needs a few hundred kilobytes here.
Clients log in with GetAuthorizationToken's password, as at AWS (reading a blob by hand is refused with
LOCAL_AWS_IAM=enforce alone). A tag of an IMMUTABLE repository keeps its image; the same image may be pushed again.
"""

import hashlib
import re
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from yarl import URL

from local_aws.authorisation.registry_requests import RegistryLogins, refused_request
from local_aws.errors import AwsError
from local_aws.places import HOME, at, split_path
from local_aws.registry.ecr import TOKEN, Ecr
from local_aws.registry.repositories import missing
from local_aws.registry.server import Registry

_ROUTE = re.compile(r"/v2/(?P<name>.+?)/(?P<part>manifests|blobs|tags|referrers)(?:/(?P<rest>.*))?")
NOT_LOGGED_IN = "Not Authorized: log in with GetAuthorizationToken"
_READS = frozenset({"GET", "HEAD"})
_CHUNK_BYTES = 256 * 1024
_MANIFEST_BYTES = 4 * 1024 * 1024  # distribution's own limit
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    }
)


class Refusal(Exception):
    """A refusal in the registry protocol's own form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Proxy:
    """The aiohttp handler of /v2/*: `handle`. Close it with the server."""

    def __init__(self, registry: Registry, ecr: Ecr, logins: RegistryLogins | None = None) -> None:
        """`logins`: those of LOCAL_AWS_IAM=enforce, by which each request is authorised."""
        self._registry, self._ecr, self._logins = registry, ecr, logins
        self._session: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request of the registry protocol."""
        url = self._registry.url
        if url is None:
            return _answer(Refusal(503, "UNAVAILABLE", "There is no registry: instances are processes here."))
        try:
            self._check(request)
            body = await self._checked_manifest(request) if _is_manifest_push(request) else None
        except Refusal as refusal:
            return _answer(refusal)
        return await self._forward(request, url, body)

    async def close(self) -> None:
        """Close the connections to the registry. Repeatable."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _check(self, request: web.Request) -> None:
        """Raise Refusal for a push, or the check before one, without login or to a missing repository."""
        route = _ROUTE.fullmatch(request.path)
        place, name = split_path(route["name"]) if route else (HOME, "")
        if self._logins is not None:
            self._authorise(self._logins, request, route)
        elif (route is None or request.method not in _READS) and not _is_logged_in(request):
            raise Refusal(401, "UNAUTHORIZED", NOT_LOGGED_IN)
        with at(place):
            if route is not None and not self._ecr.repositories.exists(name):
                raise Refusal(404, "NAME_UNKNOWN", missing(name))

    def _authorise(self, logins: RegistryLogins, request: web.Request, route: re.Match[str] | None) -> None:
        """Return when the owner of the login may make the request. Raises Refusal."""
        key = logins.key_of(request.headers.get("Authorization", ""))
        if key is None:
            raise Refusal(401, "UNAUTHORIZED", NOT_LOGGED_IN)
        if route is None:
            return  # the protocol's own question whether one is logged in
        try:
            place, name = split_path(route["name"])
            rest = unquote(route["rest"] or "")
            refused = refused_request(key, request.method, name, route["part"], rest, place)
        except AwsError as error:
            raise Refusal(401, "UNAUTHORIZED", error.message) from error
        if refused:
            raise Refusal(403, "DENIED", refused)

    async def _checked_manifest(self, request: web.Request) -> bytes:
        """Read the manifest of a push. Raises Refusal if its immutable tag names another image."""
        route = _ROUTE.fullmatch(request.path)
        assert route is not None
        tag = unquote(route["rest"])
        place, name = split_path(route["name"])
        manifest = await _read_manifest(request)
        there = None if ":" in tag else self._registry.store.tagged(route["name"], tag)
        with at(place):
            if there is None or not self._ecr.repositories.is_immutable(name, tag):
                return manifest
        if there != f"sha256:{hashlib.sha256(manifest).hexdigest()}":
            raise Refusal(
                400,
                "TAG_INVALID",
                f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten "
                "because the repository is immutable.",
            )
        return manifest

    async def _forward(self, request: web.Request, url: str, body: bytes | None) -> web.StreamResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        data = body if body is not None else (request.content if request.can_read_body else None)
        headers = [
            (k, v) for k, v in request.headers.items() if k.lower() not in {*_HOP_BY_HOP, "authorization"}
        ]
        async with self._session.request(
            request.method,
            URL(f"{url}{request.raw_path}", encoded=True),
            headers=headers,
            data=data,
            allow_redirects=False,
        ) as answer:
            return await _stream(answer, request, url)


def _is_logged_in(request: web.Request) -> bool:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "basic" and value.strip() == TOKEN


async def _stream(answer: aiohttp.ClientResponse, request: web.Request, url: str) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answer.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            response.headers.add(name, value.removeprefix(url) if name.lower() == "location" else value)
    await response.prepare(request)
    async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
        await response.write(chunk)
    await response.write_eof()
    return response


async def _read_manifest(request: web.Request) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > _MANIFEST_BYTES:
            raise Refusal(400, "MANIFEST_INVALID", f"A manifest has at most {_MANIFEST_BYTES} bytes.")
    return bytes(body)


def _is_manifest_push(request: web.Request) -> bool:
    route = _ROUTE.fullmatch(request.path)
    return request.method == "PUT" and route is not None and route["part"] == "manifests"


def _answer(refusal: Refusal) -> web.Response:
    headers = {"Docker-Distribution-Api-Version": "registry/2.0"}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="local-aws",service="ecr.amazonaws.com"'
    error = {"code": refusal.code, "message": refusal.message}
    return web.json_response({"errors": [error]}, status=refusal.status, headers=headers)
