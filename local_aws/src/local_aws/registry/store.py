"""The images of the registry, read from its storage on disk.

The registry's API has neither push times nor images without a tag; its storage (distribution's filesystem
driver, layout v2) has both, and every manifest byte for byte.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class StoredImage:
    """One manifest of a repository; `size_bytes` is what a pull would transfer (compressed layers)."""

    digest: str
    tags: tuple[str, ...]
    manifest: bytes
    media_type: str
    size_bytes: int
    pushed_at: float  # epoch seconds


class ImageStore:
    """The images below the storage directory of a registry."""

    def __init__(self, directory: Path) -> None:
        self._v2 = directory / "docker" / "registry" / "v2"

    def images(self, repository: str) -> list[StoredImage]:
        """List the images of a repository, oldest push first."""
        tags: dict[str, list[str]] = {}
        for tag, digest in self._tags(repository):
            tags.setdefault(digest, []).append(tag)
        found = (self._image(link, tags) for link in self._manifests(repository, "revisions/sha256/*/link"))
        return sorted((image for image in found if image), key=lambda image: (image.pushed_at, image.digest))

    def tagged(self, repository: str, tag: str) -> str | None:
        """Return the digest of a tag; None without such a tag."""
        return dict(self._tags(repository)).get(tag)

    def remove(self, repository: str) -> None:
        """Delete a repository's images. Layers stay, by content, for later pushes."""
        if _NAME.fullmatch(repository):
            shutil.rmtree(self._v2 / "repositories" / repository / "_manifests", ignore_errors=True)

    def _tags(self, repository: str) -> Iterator[tuple[str, str]]:
        for link in self._manifests(repository, "tags/*/current/link"):
            with suppress(FileNotFoundError):  # deleted since it was listed
                yield link.parent.parent.name, link.read_text().strip()

    def _manifests(self, repository: str, pattern: str) -> list[Path]:
        if not _NAME.fullmatch(repository):
            return []
        return sorted((self._v2 / "repositories" / repository / "_manifests").glob(pattern))

    def _image(self, link: Path, tags: dict[str, list[str]]) -> StoredImage | None:
        try:
            digest, pushed_at = link.read_text().strip(), link.stat().st_mtime
            manifest = self._blob(digest).read_bytes()
        except FileNotFoundError:  # deleted since it was listed
            return None
        content = json.loads(manifest)
        return StoredImage(
            digest=digest,
            tags=tuple(tags.get(digest, ())),
            manifest=manifest,
            media_type=_media_type(content),
            size_bytes=self._size(content),
            pushed_at=pushed_at,
        )

    def _size(self, content: dict[str, Any]) -> int:
        """Sum the bytes of layers and configuration; for an index, of all its images."""
        if "manifests" in content:
            parts = (self._blob(part["digest"]) for part in content["manifests"])
            return sum(self._size(json.loads(part.read_bytes())) for part in parts if part.exists())
        blobs = [*content.get("layers", []), *([content["config"]] if "config" in content else [])]
        return sum(int(blob["size"]) for blob in blobs)

    def _blob(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise FileNotFoundError(digest)
        value = digest.removeprefix("sha256:")
        return self._v2 / "blobs" / "sha256" / value[:2] / value / "data"


def _media_type(content: dict[str, Any]) -> str:
    """Return the manifest's media type, which OCI makes optional."""
    if "mediaType" in content:
        return str(content["mediaType"])
    if "manifests" in content:
        return _OCI_INDEX
    return _OCI_MANIFEST if "config" in content else DOCKER_MANIFEST
