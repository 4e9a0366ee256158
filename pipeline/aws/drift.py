"""Compare wanted settings with AWS's, which add fields and return lists in another order."""

from collections.abc import Mapping
from typing import Any

_KEYS = ("Name", "Id")  # the fields that identify AWS's list items


def contains(wanted: Any, found: Any) -> bool:
    """Say whether `found` has every field of `wanted`, at any depth, with the same value."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            contains(value, found.get(key)) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        same_length = isinstance(found, list) and len(found) == len(wanted)
        return same_length and all(map(contains, _sorted(wanted), _sorted(found)))
    return bool(wanted == found)


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: str(_identity(item)))


def _identity(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    return next((item[key] for key in _KEYS if key in item), item)
