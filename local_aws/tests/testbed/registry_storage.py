"""A storage laid out as the registry lays it out, for tests without a registry."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

NAME = "team/digits"


class Storage:
    """Writes what distribution's filesystem driver writes."""

    def __init__(self, root: Path) -> None:
        self.v2 = root / "docker" / "registry" / "v2"

    def push(self, content: dict[str, Any], *tags: str, at: float, repository: str = NAME) -> str:
        manifest = json.dumps(content).encode()
        value = hashlib.sha256(manifest).hexdigest()
        self._write(self.v2 / "blobs" / "sha256" / value[:2] / value / "data", manifest)
        below = self.v2 / "repositories" / repository / "_manifests"
        link = below / "revisions" / "sha256" / value / "link"
        self._write(link, f"sha256:{value}".encode())
        os.utime(link, (at, at))
        for tag in tags:
            self._write(below / "tags" / tag / "current" / "link", f"sha256:{value}".encode())
        return f"sha256:{value}"

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def image(*layers: int) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"size": 7},
        "layers": [{"size": size} for size in layers],
    }
