"""The framing of `application/vnd.amazon.eventstream`, written; botocore only reads it."""

import json
import struct
from collections.abc import Mapping
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING = 7


def payload_part(chunk: bytes) -> bytes:
    """Frame one piece of a container's answer."""
    return _message(
        {":message-type": "event", ":event-type": "PayloadPart"}, "application/octet-stream", chunk
    )


def stream_error(code: str, message: str) -> bytes:
    """Frame the ModelStreamError that ends a stream; codes are ModelInvocationTimeExceeded and StreamBroken."""
    body = json.dumps({"Message": message, "ErrorCode": code}).encode()
    kind = {":message-type": "exception", ":exception-type": "ModelStreamError"}
    return _message(kind, "application/json", body)


def _message(headers: Mapping[str, str], content_type: str, payload: bytes) -> bytes:
    """Lengths and their CRC, headers, payload, and the CRC of everything before."""
    packed = b"".join(_header(*item) for item in {**headers, ":content-type": content_type}.items())
    lengths = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    body = lengths + struct.pack(">I", crc32(lengths)) + packed + payload
    return body + struct.pack(">I", crc32(body))


def _header(name: str, value: str) -> bytes:
    return (
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", STRING, len(value)) + value.encode()
    )
