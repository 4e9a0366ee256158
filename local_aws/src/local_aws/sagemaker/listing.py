"""The List… operations: filter, sort, page (pure)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.utils import parse_to_aware_datetime

from local_aws.errors import invalid

DEFAULT_PAGE = 10
SORT_FIELDS = {"Name": "name", "CreationTime": "created", "Status": "status"}


@dataclass(frozen=True)
class Row:
    """One resource in a list: the fields for filters and sorting, and its summary."""

    name: str
    created: float
    modified: float
    status: str
    summary: dict[str, Any]


def list_page(rows: Iterable[Row], request: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Answer a List request; `key` names the list in the answer ("Endpoints"). Newest first by default."""
    chosen = [row for row in rows if _fits(row, request)]
    by = SORT_FIELDS[request.get("SortBy", "CreationTime")]
    descending = request.get("SortOrder", "Descending") == "Descending"
    chosen.sort(key=lambda row: (getattr(row, by), row.name), reverse=descending)
    page, token = page_of([row.summary for row in chosen], request, DEFAULT_PAGE)
    return {key: page} | token


def page_of(
    items: Sequence[dict[str, Any]], request: Mapping[str, Any], size: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Cut one page out of `items`; with the NextToken entry that the answer needs, if any."""
    token = request.get("NextToken", "0")
    if not token.isdigit():
        raise invalid("Invalid NextToken.")
    first = int(token)
    last = first + request.get("MaxResults", size)
    return list(items[first:last]), {"NextToken": str(last)} if last < len(items) else {}


def _fits(row: Row, request: Mapping[str, Any]) -> bool:
    limits: dict[str, Callable[[float], bool]] = {
        "CreationTimeAfter": lambda at: row.created > at,
        "CreationTimeBefore": lambda at: row.created < at,
        "LastModifiedTimeAfter": lambda at: row.modified > at,
        "LastModifiedTimeBefore": lambda at: row.modified < at,
    }
    return (
        request.get("NameContains", "").lower() in row.name.lower()
        and request.get("StatusEquals", row.status) == row.status
        and all(test(_epoch(request[name])) for name, test in limits.items() if name in request)
    )


def _epoch(value: Any) -> float:
    """Read a timestamp in any of the protocols' forms."""
    moment: datetime = parse_to_aware_datetime(value)
    return moment.timestamp()
