"""gzip that stores incompressible content instead of compressing it.

Trained weights are nearly noise: deflate takes 40 ms for a megabyte of them and saves a few percent. The
beginning of each chunk is compressed first, and the chunk is stored where too little would be saved. The result is one
ordinary gzip member (RFC 1952), and the same bytes for the same content.
"""

import zlib
from typing import BinaryIO

CHUNK_BYTES = 1024**2
TRIED_BYTES = 32 * 1024
WORTH_IT = 0.9  # of the size that was tried
LEVEL = 6
# No name and no time; "unknown" system. RFC 1952, 2.3.
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LAST_BLOCK = b"\x03\x00"  # an empty one, marked final


class GzipStream:
    """A writer that passes its content, compressed, to `target`; complete once it is closed."""

    def __init__(self, target: BinaryIO) -> None:
        self._target, self._waiting = target, bytearray()
        self._checksum = self._size = 0
        target.write(HEADER)

    def write(self, content: bytes) -> int:
        """Write content; whole chunks are passed on."""
        self._waiting += content
        while len(self._waiting) >= CHUNK_BYTES:
            self._pass_on(bytes(self._waiting[:CHUNK_BYTES]))
            del self._waiting[:CHUNK_BYTES]
        return len(content)

    def close(self) -> None:
        """Write the rest, then the checksum and the size."""
        if self._waiting:
            self._pass_on(bytes(self._waiting))
            self._waiting.clear()
        self._target.write(LAST_BLOCK)
        self._target.write(self._checksum.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little"))

    def _pass_on(self, chunk: bytes) -> None:
        tried = chunk[:TRIED_BYTES]
        level = LEVEL if len(zlib.compress(tried, 1)) <= WORTH_IT * len(tried) else 0
        # A full flush ends on a byte and forgets what came before: blocks of any level follow one another.
        deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._target.write(deflate.compress(chunk) + deflate.flush(zlib.Z_FULL_FLUSH))
        self._checksum = zlib.crc32(chunk, self._checksum)
        self._size += len(chunk)
