"""Bodies that must have the hash which was signed with them: S3's `x-amz-content-sha256`."""

import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator

from local_aws.errors import AwsError

HEADER = "X-Amz-Content-SHA256"
_HASH = re.compile(r"[0-9a-f]{64}")


def promised_hash(header: str | None) -> str | None:
    """The hash that a body must have; None for one that was signed without (UNSIGNED-PAYLOAD, STREAMING-…)."""
    return header if header and _HASH.fullmatch(header) else None


def check_body(body: bytes, header: str | None) -> None:
    """Accept a body that has been read. Raises AwsError."""
    promised = promised_hash(header)
    if promised is not None and hashlib.sha256(body).hexdigest() != promised:
        raise mismatch()


class HashedBody:
    """A body on its way: its last piece is held back until all of it is known to have the promised hash.

    Whoever reads it never gets a whole body that is not the one signed; `is_wrong` says why it ended early.
    """

    def __init__(self, pieces: AsyncIterable[bytes], promised: str) -> None:
        self.is_wrong = False
        self._pieces, self._promised = pieces, promised

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body. Raises AwsError before its last piece when it is wrong."""
        digest, held = hashlib.sha256(), b""
        async for piece in self._pieces:
            if held:
                yield held
            digest.update(piece)
            held = piece
        self.is_wrong = digest.hexdigest() != self._promised
        if self.is_wrong:
            raise mismatch()
        yield held


def mismatch() -> AwsError:
    """AWS's refusal."""
    text = "The provided 'x-amz-content-sha256' header does not match what was computed."
    return AwsError("XAmzContentSHA256Mismatch", text)
