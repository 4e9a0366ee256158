"""A compressed body is unpacked as far as the payload limit, or refused with the reason."""

import gzip
import tracemalloc
import zlib
from typing import Any

import pytest
from werkzeug.exceptions import RequestEntityTooLarge

from serving.handlers.errors import BadRequest
from serving.http.content_coding import decoded

TEXT = b'{"instances": []}' * 100


@pytest.mark.parametrize(
    ("body", "codings"),
    [
        (TEXT, ""), (TEXT, "identity"), (gzip.compress(TEXT), "gzip"), (gzip.compress(TEXT), " GZIP , identity"),
        (gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:]), "x-gzip"), (zlib.compress(TEXT), "deflate"),
        (gzip.compress(zlib.compress(TEXT)), "deflate, gzip"),
    ],
)  # fmt: skip
def test_it_is_unpacked(body: bytes, codings: str) -> None:
    assert decoded(body, codings, len(TEXT)) == TEXT


@pytest.mark.parametrize(("module", "coding"), [("brotli", "br"), ("zstandard", "zstd")])
def test_it_is_unpacked_by_a_library_that_is_there(module: str, coding: str) -> None:
    library: Any = pytest.importorskip(module)
    compress = library.compress if module == "brotli" else library.ZstdCompressor().compress

    assert decoded(compress(TEXT), coding, len(TEXT)) == TEXT
    with pytest.raises(RequestEntityTooLarge):
        decoded(compress(TEXT), coding, len(TEXT) - 1)
    with pytest.raises(BadRequest, match=f"expected {coding}, as Content-Encoding says"):
        decoded(b"not compressed", coding, len(TEXT))


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_no_more_is_unpacked_than_the_limit(coding: str) -> None:
    bomb = gzip.compress(bytes(50_000_000)) if coding == "gzip" else zlib.compress(bytes(50_000_000))

    tracemalloc.start()
    try:
        with pytest.raises(RequestEntityTooLarge):
            decoded(bomb, coding, 1_000_000)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < 5_000_000, "bytes, not fifty millions"


@pytest.mark.parametrize(
    ("body", "codings", "status", "says"),
    [
        (TEXT, "gzip", 400, "body: expected gzip, as Content-Encoding says"),
        (b"", "gzip", 400, "body: expected gzip, as Content-Encoding says \\(it is empty\\)"),
        (gzip.compress(TEXT)[:-9], "gzip", 400, "it is cut off"),
        (zlib.compress(TEXT)[:-9], "deflate", 400, "it is cut off"),
        (TEXT, "compress", 415, "Content-Encoding: expected one of .*gzip.*, got compress"),
        (TEXT, "gzip, gzip, gzip", 415, "got gzip, gzip, gzip"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(body: bytes, codings: str, status: int, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        decoded(body, codings, 1_000_000)

    assert caught.value.status == status
