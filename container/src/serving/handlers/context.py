"""The `context` argument of handler functions, as in TorchServe.

One object serves all requests of a worker, one after another; `call` is the one that is being answered, in
whichever thread of the program it is asked for.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.datastructures import Headers


@dataclass
class Call:
    """A request's headers, by names in any case, and what the program sets for its answer."""

    headers: Headers = field(default_factory=Headers)
    content_type: str | None = None
    response_headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


class RequestProcessor:
    """`context.request_processor[0]`: the headers of the request."""

    def __init__(self, context: "Context") -> None:
        self._context = context

    def get_request_property(self, key: str) -> str | None:
        return self._context.get_request_header(0, key)

    def get_request_properties(self) -> dict[str, str]:
        return self._context.get_all_request_header(0)


class Context:
    """The server's properties, the current request's headers, and the headers of its answer."""

    def __init__(self, model_dir: Path, device: str) -> None:
        self.system_properties: dict[str, Any] = {
            "model_dir": str(model_dir),
            "gpu_id": 0 if device == "cuda" else None,
            "batch_size": 1,
        }
        self.manifest: dict[str, Any] = {}
        self.call = Call()
        self.request_processor = [RequestProcessor(self)]

    def get_request_id(self, idx: int = 0) -> str:  # noqa: ARG002  # there is one request, at 0
        """Return the caller's inference id, or an empty string."""
        return self.call.headers.get("X-Amzn-SageMaker-Inference-Id", "")

    def get_request_header(self, idx: int, key: str) -> str | None:  # noqa: ARG002
        return self.call.headers.get(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:  # noqa: ARG002
        return dict(self.call.headers)

    def set_response_content_type(self, idx: int, value: str) -> None:  # noqa: ARG002
        self.call.content_type = value

    def get_response_content_type(self, idx: int) -> str | None:  # noqa: ARG002
        return self.call.content_type

    def set_response_header(self, idx: int, key: str, value: str) -> None:  # noqa: ARG002
        self.call.response_headers[key] = value

    def get_response_headers(self, idx: int) -> dict[str, str]:  # noqa: ARG002
        return self.call.response_headers

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:  # noqa: ARG002
        self.call.status = code

    def response_status(self) -> int:
        """Return the status that the handler set, or 200."""
        return self.call.status
