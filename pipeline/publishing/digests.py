"""The digests that name content: its SHA-256, and S3's checksum, which can be computed on all cores.

S3 has no SHA-256 of a whole object that was sent in parts. Its checksum is the SHA-256 of the parts'
SHA-256s, followed by their number. The size of the parts follows from the object's size alone, so the
same content always has the same checksum.
"""

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PART_BYTES = 16 * 1024**2
MOST_PARTS = 10_000  # of one upload, S3's limit
_READ_BYTES = 1024**2


@dataclass(frozen=True)
class Part:
    """One part of a file, numbered from 1 as S3 does."""

    number: int
    start: int  # bytes
    size: int  # bytes


@dataclass(frozen=True)
class Digests:
    """A file's content: `sha256` in hex, `parts` as 32 bytes each, `checksum` as S3 writes it."""

    sha256: str
    size: int
    parts: tuple[bytes, ...]

    @property
    def checksum(self) -> str:
        return checksum_of(self.parts)


def cut(size: int) -> tuple[Part, ...]:
    """Cut a file of `size` bytes into the parts of its upload; at least one, perhaps empty."""
    part = max(PART_BYTES, -(-size // MOST_PARTS))
    starts = range(0, max(size, 1), part)
    return tuple(Part(number, start, min(part, size - start)) for number, start in enumerate(starts, 1))


def checksum_of(parts: Sequence[bytes]) -> str:
    """Return S3's ChecksumSHA256: of the content if it is one part, else of its parts' digests."""
    if len(parts) == 1:
        return base64.b64encode(parts[0]).decode()
    return f"{base64.b64encode(hashlib.sha256(b''.join(parts)).digest()).decode()}-{len(parts)}"


def is_same(found: str | None, wanted: str) -> bool:
    """Compare two of S3's checksums; the number of parts is not given by every S3, and proves nothing."""
    return found is not None and found.partition("-")[0] == wanted.partition("-")[0]


def digests_of(path: Path) -> Digests:
    """Read a file twice at once: whole for its name, part by part for S3."""
    size = path.stat().st_size
    with ThreadPoolExecutor(2) as pool:
        parts = pool.submit(_parts, path, cut(size))
        whole = pool.submit(_digest, path, Part(1, 0, size))
        return Digests(whole.result().hex(), size, parts.result())


def fingerprint(files: Sequence[tuple[str, Path]]) -> str:
    """Return the SHA-256 (hex) of named files: of names, sizes and contents alone.

    All parts of all files are read on all cores: a known fingerprint saves packing the files.
    """
    cuts = [(path, part) for _, path in files for part in cut(path.stat().st_size)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        digests = iter(list(pool.map(lambda each: _digest(*each), cuts)))
    total = hashlib.sha256()
    for name, path in files:
        size = path.stat().st_size
        checksum = checksum_of([next(digests) for _ in cut(size)])
        total.update(f"{name}\0{size}\0{checksum}\n".encode())
    return total.hexdigest()


def _parts(path: Path, parts: Sequence[Part]) -> tuple[bytes, ...]:
    return tuple(_digest(path, part) for part in parts)


def _digest(path: Path, part: Part) -> bytes:
    total = hashlib.sha256()
    for piece in _pieces(path, part):
        total.update(piece)
    return total.digest()


def _pieces(path: Path, part: Part) -> Iterator[memoryview]:
    buffer, left = memoryview(bytearray(min(_READ_BYTES, part.size))), part.size
    with path.open("rb", buffering=0) as content:
        content.seek(part.start)
        while left and (read := content.readinto(buffer[: min(left, _READ_BYTES)])):
            yield buffer[:read]
            left -= read
