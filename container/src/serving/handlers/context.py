"""The `context` argument of handler functions, as in TorchServe.

One object serves all requests of a worker, one after another; `call` is the one that is being answered, in
whichever thread of the program it is asked for.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from werkzeug.datastructures import Headers

from serving.handlers.program_metrics import ProgramMetrics

MODEL_NAME = "model"  # AWS's container registers every model under this name
_SERVER = {"server_name": "MMS", "server_version": "0.12.0"}  # of TorchServe in AWS's container
_CONTENT_TYPE = "content-type"


@dataclass
class Call:
    """A request's headers, by names in any case, and what the program sets for its answer."""

    headers: Headers = field(default_factory=Headers)
    content_type: str | None = None
    response_headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    phrase: str | None = None

    @cached_property
    def request_id(self) -> str:
        """The caller's inference id, or else an id of its own."""
        return self.headers.get("X-Amzn-SageMaker-Inference-Id") or str(uuid.uuid4())


class RequestHeaders(dict[str, str]):
    """A request's headers as a dict whose names are found in any case."""

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers)
        self._headers = headers

    def __getitem__(self, key: str) -> str:
        return self._headers[key]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._headers

    def get(self, key: str, default: Any = None) -> Any:
        return self._headers.get(key, default)


class RequestProcessor:
    """`context.request_processor[0]`: the request's headers, and the answer's headers and status."""

    def __init__(self, context: "Context") -> None:
        self._context = context

    def get_request_property(self, key: str) -> str | None:
        return self._context.call.headers.get(key)

    def get_request_properties(self) -> dict[str, str]:
        return RequestHeaders(self._context.call.headers)

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        self._context.call.status = code
        self._context.call.phrase = reason_phrase

    def get_response_status_code(self) -> int:
        return self._context.call.status

    def get_response_status_phrase(self) -> str | None:
        return self._context.call.phrase

    def add_response_property(self, key: str, value: str) -> None:
        if key.lower() == _CONTENT_TYPE:
            self._context.call.content_type = value
        else:
            self._context.call.response_headers[key] = value

    def get_response_headers(self) -> dict[str, str]:
        return self._context.call.response_headers

    def get_response_header(self, key: str) -> str | None:
        return self._context.call.response_headers.get(key)


class Context:
    """The server's properties, the current request's headers, and the headers of its answer."""

    def __init__(self, model_dir: Path, device: str) -> None:
        self.model_name = MODEL_NAME
        self.system_properties: dict[str, Any] = {
            "model_dir": str(model_dir),
            "gpu_id": 0 if device == "cuda" else None,
            "batch_size": 1,
            "limit_max_image_pixels": True,
            **_SERVER,
        }
        self.manifest: dict[str, Any] = {}
        self.model_yaml_config: Mapping[str, Any] = {}
        self.metrics = ProgramMetrics()
        self.call = Call()
        self.request_processor = [RequestProcessor(self)]

    @property
    def request_ids(self) -> dict[int, str]:
        return {0: self.call.request_id}

    def get_request_id(self, idx: int = 0) -> str | None:
        """Return the caller's inference id, or else an id of the request's own; None for another request."""
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        self.set_response_header(idx, _CONTENT_TYPE, value)

    def get_response_content_type(self, idx: int) -> str | None:  # noqa: ARG002  # there is one request, at 0
        return self.call.content_type

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        return self.request_processor[idx].get_response_headers()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self.request_processor[idx].report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        for processor in self.request_processor:
            processor.report_status(code, reason_phrase=phrase)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()
