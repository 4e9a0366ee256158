"""Does AWS have what is wanted? AWS adds fields of its own and returns lists in its own order."""

from collections.abc import Mapping
from typing import Any

_KEYS = ("Name", "Id")  # what AWS's list items are known by


def holds(wanted: Any, found: Any) -> bool:
    """Say whether `found` has every field of `wanted`, at any depth, with the same value."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            holds(value, found.get(key)) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        same_length = isinstance(found, list) and len(found) == len(wanted)
        return same_length and all(map(holds, _sorted(wanted), _sorted(found)))
    return bool(wanted == found)


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: str(_known_by(item)))


def _known_by(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    return next((item[key] for key in _KEYS if key in item), item)
