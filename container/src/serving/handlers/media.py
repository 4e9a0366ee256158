"""The supported media types, and the choice among them."""

from collections.abc import Sequence

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from serving.handlers.errors import BadRequest

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"
NPZ = "application/x-npz"
ALL = (JSON, JSON_LINES, CSV, NPY, NPZ)
_SHOWN = 80  # characters of what a caller sent


def essence(content_type: str) -> str:
    """Return the type without parameters: `text/csv` for `Text/CSV; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def negotiate(accept: str, *, preferred: str = JSON, offered: Sequence[str] = ALL) -> str:
    """Choose the best of the `offered` types by an Accept header; `preferred` if it leaves that open.

    Raises BadRequest (HTTP 406) when the header excludes all of them.
    """
    if accept in ("", "*/*", preferred):
        return preferred
    order = [preferred, *(kind for kind in offered if kind != preferred)]
    without_parameters = [(essence(kind), quality) for kind, quality in parse_accept_header(accept)]
    best = MIMEAccept(without_parameters).best_match(order)
    if best is None:
        raise BadRequest(
            f"Accept: expected one of {', '.join(order)} among the types, got {accept[:_SHOWN]}", status=406
        )
    return best


def unsupported(content_type: str, *, offered: Sequence[str] = ALL) -> BadRequest:
    """Make the error (HTTP 415) for a body of an unsupported type."""
    return BadRequest(
        f"Content-Type: expected one of {', '.join(offered)}, got {content_type[:_SHOWN]}", status=415
    )
