"""The `context` argument of handler functions, as in TorchServe.

One object serves all requests: it reads the request that the calling thread is answering.
"""

from pathlib import Path
from typing import Any

from flask import g, request


class RequestProcessor:
    """`context.request_processor[0]`: the headers of the request."""

    def get_request_property(self, key: str) -> str | None:
        return request.headers.get(key)

    def get_request_properties(self) -> dict[str, str]:
        return dict(request.headers)


class Context:
    """The server's properties, the current request's headers, and the headers of its answer."""

    def __init__(self, model_dir: Path, device: str) -> None:
        self.system_properties: dict[str, Any] = {
            "model_dir": str(model_dir),
            "gpu_id": 0 if device == "cuda" else None,
            "batch_size": 1,
        }
        self.manifest: dict[str, Any] = {}
        self.request_processor = [RequestProcessor()]

    def get_request_id(self, idx: int = 0) -> str:  # noqa: ARG002  # there is one request, at 0
        """Return the caller's inference id, or an empty string."""
        return request.headers.get("X-Amzn-SageMaker-Inference-Id", "")

    def get_request_header(self, idx: int, key: str) -> str | None:  # noqa: ARG002
        return request.headers.get(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:  # noqa: ARG002
        return dict(request.headers)

    def set_response_content_type(self, idx: int, value: str) -> None:  # noqa: ARG002
        g.response_content_type = value

    def get_response_content_type(self, idx: int) -> str | None:  # noqa: ARG002
        chosen: str | None = g.get("response_content_type")
        return chosen

    def set_response_header(self, idx: int, key: str, value: str) -> None:  # noqa: ARG002
        self.get_response_headers(0)[key] = value

    def get_response_headers(self, idx: int) -> dict[str, str]:  # noqa: ARG002
        headers: dict[str, str] = g.setdefault("response_headers", {})
        return headers

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:  # noqa: ARG002
        g.response_status = code

    def response_status(self) -> int:
        """Return the status that the handler set, or 200."""
        status: int = g.get("response_status", 200)
        return status
