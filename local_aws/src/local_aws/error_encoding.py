"""Error encoding: errors in the caller's own protocol, so that boto3 raises them with code and message."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class EncodedError:
    """One error response, ready to send."""

    status: int
    headers: dict[str, str]
    body: bytes


def encode_error(request: Mapping[str, str], code: str, message: str, status: int = 400) -> EncodedError:
    """Encode an error for the client that sent the headers `request` (looked up without regard to case)."""
    lower = {name.lower(): value for name, value in request.items()}
    headers = {"x-amzn-RequestId": str(uuid4()), "x-amzn-ErrorType": code}
    if lower.get("smithy-protocol") == "rpc-v2-cbor":
        headers |= {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return EncodedError(status, headers, _cbor_map({"__type": code, "message": message}))
    if signing_service(lower) == "s3":
        headers["Content-Type"] = "application/xml"
        return EncodedError(status, headers, f"<Error>{_xml(code, message)}</Error>".encode())
    if "x-www-form-urlencoded" in lower.get("content-type", ""):
        headers["Content-Type"] = "text/xml"
        text = f"<ErrorResponse><Error>{_xml(code, message)}</Error></ErrorResponse>"
        return EncodedError(status, headers, text.encode())
    headers["Content-Type"] = "application/x-amz-json-1.1"
    return EncodedError(status, headers, json.dumps({"__type": code, "message": message}).encode())


def signing_service(headers: Mapping[str, str]) -> str | None:
    """Read the service a request is signed for from its lower-case headers; None when it is unsigned."""
    scope = _credential_scope(headers)
    return scope[3] if scope else None


def _credential_scope(headers: Mapping[str, str]) -> list[str] | None:
    _, found, rest = headers.get("authorization", "").partition("Credential=")
    scope = rest.split(",")[0].strip().split("/")
    return scope if found and len(scope) == 5 else None


def _xml(code: str, message: str) -> str:
    return f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"


def _cbor_map(texts: Mapping[str, str]) -> bytes:
    """Encode a map of fewer than 24 texts, as RFC 8949 writes it."""
    return bytes([0xA0 | len(texts)]) + b"".join(_cbor_text(k) + _cbor_text(v) for k, v in texts.items())


def _cbor_text(text: str) -> bytes:
    data = text.encode()[:0xFFFF]
    return b"\x79" + len(data).to_bytes(2, "big") + data
