"""An image copied from one registry to another by its digest, layer by layer, over the registry protocol.

What the target has is not sent again; what is read is compared with its digest before it is sent.
"""

import hashlib
import json
import shutil
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from pipeline.aws import AwsClient
from pipeline.errors import AwsUnreachable, BuildFailed, ReleaseError
from pipeline.publishing.pushed_images import DOCKER_MANIFEST

MANIFESTS = (DOCKER_MANIFEST, "application/vnd.oci.image.manifest.v1+json")
ANSWER_SECONDS = 300
NOT_THERE = 404
LOOPBACK = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True)
class Repository:
    """One repository of a registry: its address (https://HOST/v2/NAME) and the login for it."""

    url: str
    authorization: str

    @classmethod
    def of(cls, uri: str, aws: AwsClient) -> "Repository":
        """Log in to the registry of a repository, HOST/NAME, as ECR lets the owner of the credentials do."""
        given = aws.read("ecr", "get_authorization_token")["authorizationData"][0]
        scheme = urlsplit(given["proxyEndpoint"]).scheme
        host, _, name = uri.partition("/")
        return cls(f"{scheme}://{host}/v2/{name}", f"Basic {given['authorizationToken']}")

    def manifest(self, digest: str) -> tuple[bytes, str]:
        """Return an image's manifest with its media type. Raises ReleaseError when its digest is another."""
        with self._ask("GET", f"/manifests/{digest}", {"Accept": ", ".join(MANIFESTS)}) as answer:
            body, kind = answer.read(), answer.headers.get("Content-Type", MANIFESTS[0])
        if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
            raise _differs(self, digest)
        return body, kind

    def has_layer(self, digest: str) -> bool:
        """Say whether the repository has a layer."""
        try:
            self._ask("HEAD", f"/blobs/{digest}").close()
        except _NotThere:
            return False
        return True

    def fetch_layer(self, digest: str, target: Path) -> None:
        """Download a layer. Raises ReleaseError when its content has another digest."""
        with self._ask("GET", f"/blobs/{digest}") as answer, target.open("wb") as out:
            shutil.copyfileobj(answer, out)
        with target.open("rb") as content:
            if f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}" != digest:
                raise _differs(self, digest)

    def send_layer(self, digest: str, path: Path) -> None:
        """Upload a layer, as `docker push` does."""
        with self._ask("POST", "/blobs/uploads/", body=b"") as answer:
            where = self._absolute(answer.headers["Location"])
        size = {"Content-Length": str(path.stat().st_size), "Content-Type": "application/octet-stream"}
        with path.open("rb") as body, self._ask("PATCH", where, size, body) as answer:
            where = self._absolute(answer.headers["Location"])
        end = "&" if "?" in where else "?"
        self._ask("PUT", f"{where}{end}digest={digest}", body=b"").close()

    def put_manifest(self, tag: str, manifest: bytes, kind: str) -> None:
        """Make a tag of the image, whose layers are there."""
        self._ask("PUT", f"/manifests/{tag}", {"Content-Type": kind}, manifest).close()

    def _absolute(self, location: str) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{location}" if location.startswith("/") else location

    def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | IO[bytes] | None = None,
    ) -> Any:
        url = self.url + path if path.startswith("/") else path
        request = urllib.request.Request(url, body, headers or {}, method=method)  # noqa: S310 - ECR's own
        # Not passed on where ECR leads to S3, whose address is signed.
        request.add_unredirected_header("Authorization", self.authorization)
        is_near = urlsplit(url).hostname in LOOPBACK
        handlers = [urllib.request.ProxyHandler({})] if is_near else []
        try:
            return urllib.request.build_opener(*handlers).open(request, timeout=ANSWER_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")[:500]
            kind = _NotThere if error.code == NOT_THERE else BuildFailed
            raise kind(
                f"{method} {url} of the registry: {error.code} {said or error.reason}",
                fix="Does bootstrap's policy of the repository name this role? docs/accounts.md",
            ) from error
        except OSError as error:
            raise AwsUnreachable(
                f"{url} did not answer: {error}", fix="Run the same command again."
            ) from error


class _NotThere(BuildFailed):
    """The registry has no such layer or manifest."""


def copy_image(source: Repository, target: Repository, digest: str, tag: str) -> int:
    """Copy an image with all layers that the target lacks; return the number of bytes that were sent."""
    manifest, kind = source.manifest(digest)
    content, sent = json.loads(manifest), 0
    layers = {each["digest"]: each["size"] for each in (content["config"], *content["layers"])}
    with tempfile.TemporaryDirectory(prefix="layers-") as scratch:
        for layer, size in layers.items():
            if target.has_layer(layer):
                continue
            path = Path(scratch, "layer")
            source.fetch_layer(layer, path)
            target.send_layer(layer, path)
            sent += size
    target.put_manifest(tag, manifest, kind)
    return sent


def _differs(repository: Repository, digest: str) -> ReleaseError:
    return ReleaseError(
        f"{repository.url} answers for {digest} with another content.", fix="Publish the release again."
    )
