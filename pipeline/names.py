"""Names derived from content: the same release and settings have the same name."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.config import LONGEST_NAME

_CONTENT_NAME = re.compile(r"(?P<prefix>.+)-(?P<release>[0-9a-f]{12}-[0-9a-f]{8})-[0-9a-f]{8}")


def content_name(prefix: str, release_id: str, settings: Mapping[str, Any]) -> str:
    """Return `<prefix>-<release id>-<hash 8 of the settings>`, at most 63 characters."""
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    name = f"{prefix}-{release_id}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"
    assert len(name) <= LONGEST_NAME, f"{name}: the config's validation limits the length"
    return name


def prefix_of(name: str) -> str | None:
    """Return the part before the release id of a name derived from content; None for other names."""
    match = _CONTENT_NAME.fullmatch(name)
    return match["prefix"] if match else None


def release_of(config_name: str) -> str | None:
    """Return the release id within an endpoint config's name; None for other names."""
    match = _CONTENT_NAME.fullmatch(config_name)
    return match["release"] if match else None
