"""Check bodies against the hash that was signed with them: S3's `x-amz-content-sha256`."""

import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator

from local_aws.errors import AwsError

HEADER = "X-Amz-Content-SHA256"
_HASH = re.compile(r"[0-9a-f]{64}")


def expected_hash(header: str | None) -> str | None:
    """Return the hash that a body must have; None when it was signed without one (UNSIGNED-PAYLOAD, STREAMING-…)."""
    return header if header and _HASH.fullmatch(header) else None


def check_body(body: bytes, header: str | None) -> None:
    """Check a whole body. Raises AwsError when its hash is another."""
    expected = expected_hash(header)
    if expected is not None and hashlib.sha256(body).hexdigest() != expected:
        raise mismatch()


class HashedBody:
    """A streamed body whose last piece is held back until the whole has the expected hash.

    A reader never gets a whole body other than the signed one; `is_wrong` is the reason of an early end.
    """

    def __init__(self, pieces: AsyncIterable[bytes], expected: str) -> None:
        self.is_wrong = False
        self._pieces, self._expected = pieces, expected

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body. Raises AwsError before its last piece when it is wrong."""
        digest, held = hashlib.sha256(), b""
        async for piece in self._pieces:
            if held:
                yield held
            digest.update(piece)
            held = piece
        self.is_wrong = digest.hexdigest() != self._expected
        if self.is_wrong:
            raise mismatch()
        yield held


def mismatch() -> AwsError:
    """Return AWS's refusal of a wrong hash."""
    text = "The provided 'x-amz-content-sha256' header does not match what was computed."
    return AwsError("XAmzContentSHA256Mismatch", text)
