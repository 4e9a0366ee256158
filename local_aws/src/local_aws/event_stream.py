"""Event streams: frames of `application/vnd.amazon.eventstream`, which botocore can only read."""

import json
import struct
from collections.abc import Mapping
from zlib import crc32

import aiohttp
from aiohttp import web

from local_aws.runtime_errors import TIMED_OUT

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
    """Frame a message: lengths and their CRC, headers, payload, CRC of all before."""
    packed = b"".join(_header(*item) for item in {**headers, ":content-type": content_type}.items())
    lengths = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    body = lengths + struct.pack(">I", crc32(lengths)) + packed + payload
    return body + struct.pack(">I", crc32(body))


def _header(name: str, value: str) -> bytes:
    return (
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", STRING, len(value)) + value.encode()
    )


async def relay(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> int:
    """Stream the container's answer to the client; return its status, or 0 when it ended early."""
    chunks = answer.content.iter_any().__aiter__()
    while True:
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            return answer.status
        except TimeoutError:
            event = stream_error("ModelInvocationTimeExceeded", TIMED_OUT)
        except aiohttp.ClientError as error:
            text = f"The connection to the container broke: {type(error).__name__}"
            event = stream_error("StreamBroken", text)
        else:
            await response.write(payload_part(chunk))
            continue
        await response.write(event)
        return 0
