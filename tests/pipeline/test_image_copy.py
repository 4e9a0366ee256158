"""An image is copied by its digest: layers once, and none that differs from its name."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.errors import AwsUnreachable, BuildFailed, ReleaseError
from pipeline.publishing.image_copy import Repository, copy_image

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
LOGIN = "Basic " + base64.b64encode(b"AWS:password").decode()
TAG = "a" * 40


@dataclass
class Registry:
    """The content of a registry of two repositories, by path, and the requests that it got."""

    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    leads_to: str = ""
    """The address of the layers: the registry redirects to it, as ECR does to S3. Empty: it serves them itself."""
    seen_by_storage: list[str | None] = field(default_factory=list)

    def repository(self, name: str, login: str = LOGIN) -> Repository:
        return Repository(f"{self.address}/v2/{name}", login)

    def add(self, name: str, content: bytes) -> str:
        digest = digest_of(content)
        self.blobs[f"{name}/{digest}"] = content
        return digest

    def add_image(self, name: str, *layers: bytes) -> str:
        config = b"{}"
        entries = [{"digest": self.add(name, each), "size": len(each)} for each in layers]
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": DOCKER,
                "config": {"digest": self.add(name, config), "size": len(config)},
                "layers": entries,
            }
        ).encode()
        self.manifests[f"{name}/{digest_of(manifest)}"] = manifest
        return digest_of(manifest)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """The registry protocol, as far as a copy needs it; `registry` is set by a subclass."""

    registry: Registry

    def log_message(self, *_: object) -> None: ...

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.registry.requests.append(f"{self.command} {path}")
        if path.startswith("/storage/"):
            self.registry.seen_by_storage.append(self.headers.get("Authorization"))
            self.answer(200, self.registry.blobs[path.removeprefix("/storage/")])
        elif self.headers.get("Authorization") != LOGIN:
            self.answer(403, b"DENIED")
        else:
            found = re.fullmatch(r"/v2/(\w+)/(blobs|manifests)/(.*)", path)
            assert found is not None, path
            of = self.of_manifest if found[2] == "manifests" else self.of_layer
            of(found[1], f"{found[1]}/{found[3]}", body)

    def of_manifest(self, _: str, key: str, body: bytes) -> None:
        if self.command == "PUT":
            self.registry.manifests[key] = body
            self.answer(201)
        else:
            self.answer(200, self.registry.manifests[key], Content_Type=DOCKER)

    def of_layer(self, name: str, key: str, body: bytes) -> None:
        if self.command == "POST":
            self.answer(202, Location=f"/v2/{name}/blobs/uploads/1")
        elif self.command == "PATCH":
            self.registry.add(name, body)
            self.answer(202, Location=f"/v2/{name}/blobs/uploads/1?state=2")
        elif self.command == "PUT":
            self.answer(201)
        elif key not in self.registry.blobs:
            self.answer(404)
        elif self.command == "GET" and self.registry.leads_to:
            self.answer(307, Location=f"{self.registry.leads_to}{key}")
        else:
            self.answer(200, self.registry.blobs[key])

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_any  # noqa: N815 - names of the library


@pytest.fixture
def registry() -> Iterator[Registry]:
    found = Registry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfOne", (Handler,), {"registry": found}))
    found.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_image_is_copied_with_its_layers_and_keeps_its_digest(registry: Registry) -> None:
    digest = registry.add_image("there", b"one", b"two")
    sent = copy_image(registry.repository("there"), registry.repository("here"), digest, TAG)

    assert sent == len(b"{}onetwo")
    assert digest_of(registry.manifests[f"here/{TAG}"]) == digest
    assert registry.blobs[f"here/{digest_of(b'two')}"] == b"two"


def test_a_layer_that_is_there_is_neither_read_nor_sent(registry: Registry) -> None:
    digest = registry.add_image("there", b"one", b"two")
    registry.add("here", b"one")
    sent = copy_image(registry.repository("there"), registry.repository("here"), digest, TAG)

    assert sent == len(b"{}two")
    assert f"GET /v2/there/blobs/{digest_of(b'one')}" not in registry.requests


def test_what_differs_from_its_digest_is_not_sent(registry: Registry) -> None:
    digest = registry.add_image("there", b"one")
    registry.blobs[f"there/{digest_of(b'one')}"] = b"another"
    with pytest.raises(ReleaseError, match="another content"):
        copy_image(registry.repository("there"), registry.repository("here"), digest, TAG)

    assert not any(each.startswith("here/") for each in registry.manifests)
    assert f"here/{digest_of(b'another')}" not in registry.blobs


def test_a_manifest_that_differs_from_its_digest_is_not_read(registry: Registry) -> None:
    digest = registry.add_image("there", b"one")
    registry.manifests[f"there/{digest}"] += b" "

    with pytest.raises(ReleaseError, match="another content"):
        copy_image(registry.repository("there"), registry.repository("here"), digest, TAG)


def test_the_login_of_the_registry_is_not_shown_to_where_it_leads(registry: Registry) -> None:
    digest = registry.add_image("there", b"one")
    registry.leads_to = f"{registry.address}/storage/"
    copy_image(registry.repository("there"), registry.repository("here"), digest, TAG)

    assert registry.seen_by_storage == [None, None]


def test_a_refusal_is_told_with_the_registrys_words(registry: Registry) -> None:
    digest = registry.add_image("there", b"one")

    with pytest.raises(BuildFailed, match="403 DENIED"):
        copy_image(registry.repository("there", "Basic guessed"), registry.repository("here"), digest, TAG)


def test_a_registry_that_does_not_answer_is_unreachable() -> None:
    with pytest.raises(AwsUnreachable):
        Repository("http://127.0.0.1:9/v2/here", LOGIN).has_layer(digest_of(b"x"))
