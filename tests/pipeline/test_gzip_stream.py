"""Archives can be unpacked by every tool, and noise is stored without compression."""

import gzip
import io
import random
import shutil
import subprocess
import zlib

import pytest

from pipeline.release_store.gzip_stream import CHUNK_BYTES, GzipStream

NOISE = random.Random(7).randbytes(CHUNK_BYTES)
TEXT = b"the same words again and again " * (CHUNK_BYTES // 31)


def packed(content: bytes, piece: int = 10_240) -> bytes:
    target = io.BytesIO()
    stream = GzipStream(target)
    for start in range(0, len(content), piece):
        stream.write(content[start : start + piece])
    stream.close()
    return target.getvalue()


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    "content",
    [b"", b"a", TEXT, NOISE, TEXT + NOISE + TEXT, NOISE[:-1], NOISE + b"a"],
    ids=["nothing", "one byte", "text", "noise", "mixed", "almost a chunk", "a chunk and one byte"],
)
def test_what_is_packed_is_unpacked_by_gzip(content: bytes) -> None:
    assert gzip.decompress(packed(content)) == content
    if program := shutil.which("gzip"):
        unpacked = subprocess.run([program, "-dc"], input=packed(content), capture_output=True, check=True)
        assert unpacked.stdout == content


def test_noise_is_stored_and_text_is_made_smaller() -> None:
    assert len(packed(TEXT)) < len(TEXT) / 50
    assert len(NOISE) < len(packed(NOISE)) < len(NOISE) * 1.001


def test_what_would_hardly_become_smaller_is_stored() -> None:
    """As trained weights are: a few percent are not worth their labour."""
    hardly = b"".join(NOISE[start : start + 950] + bytes(50) for start in range(0, CHUNK_BYTES, 950))

    assert len(zlib.compress(hardly, 6)) < 0.97 * len(hardly)
    assert len(packed(hardly)) > len(hardly)


def test_how_it_was_written_does_not_matter() -> None:
    content = TEXT + NOISE

    assert packed(content, 1_000) == packed(content, 1_000_000)


def test_a_torn_archive_is_noticed() -> None:
    with pytest.raises((EOFError, gzip.BadGzipFile)):
        gzip.decompress(packed(NOISE)[:-3])
