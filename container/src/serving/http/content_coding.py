"""Bodies that a client has compressed: Content-Encoding gzip and deflate, and br and zstd where a library is there."""

import importlib
import importlib.util
import zlib
from collections.abc import Callable
from functools import cache

from werkzeug.exceptions import RequestEntityTooLarge

from serving.handlers.errors import BadRequest

_NONE = ("", "identity")
_MOST_CODINGS = 2  # one after another; more is no honest client


def decoded(body: bytes, codings: str, most_bytes: int) -> bytes:
    """Unpack a body by its Content-Encoding. No more than `most_bytes` are unpacked.

    Raises RequestEntityTooLarge for more, and BadRequest: 415 for another coding, 400 for a faulty body.
    """
    names = [name.strip().lower() for name in codings.split(",") if name.strip().lower() not in _NONE]
    known = _known()
    if len(names) > _MOST_CODINGS or any(name not in known for name in names):
        raise BadRequest(
            f"Content-Encoding: expected one of {', '.join(sorted(known))}, got {codings[:80]}", status=415
        )
    for name in reversed(names):
        try:
            unpacked = known[name](body, most_bytes + 1)
        except Exception as error:  # each library has errors of its own
            raise BadRequest(f"body: expected {name}, as Content-Encoding says ({str(error)[:80]})") from None
        if len(unpacked) > most_bytes:
            raise RequestEntityTooLarge
        body = unpacked
    return body


@cache
def _known() -> dict[str, Callable[[bytes, int], bytes]]:
    found: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate}
    if importlib.util.find_spec("brotli"):
        found["br"] = _brotli
    if importlib.util.find_spec("zstandard"):
        found["zstd"] = _zstandard
    return found


def _gzip(body: bytes, most: int) -> bytes:
    """Unpack all members of a gzip file."""
    parts, rest, length = [], body, 0
    while rest and length < most:
        unpacker = zlib.decompressobj(wbits=31)
        parts.append(unpacker.decompress(rest, most - length))
        length += len(parts[-1])
        if not unpacker.eof and length < most:
            raise ValueError("it is cut off")
        rest = unpacker.unused_data
    if not parts:
        raise ValueError("it is empty")
    return b"".join(parts)


def _deflate(body: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(body, most)
    if not unpacker.eof and len(unpacked) < most:
        raise ValueError("it is cut off")
    return unpacked


def _brotli(body: bytes, most: int) -> bytes:
    unpacker = importlib.import_module("brotli").Decompressor()
    unpacked: bytes = unpacker.process(body, output_buffer_limit=most)
    if not unpacker.is_finished() and len(unpacked) < most:
        raise ValueError("it is cut off")
    return unpacked


def _zstandard(body: bytes, most: int) -> bytes:
    reader = importlib.import_module("zstandard").ZstdDecompressor().stream_reader(body)
    unpacked: bytes = reader.read(most)
    return unpacked
