"""The protocol between HTTP and a model: decode, predict, encode.

The server knows nothing else of a model, so the project's own model and a user's inference.py are served
in the same way.
"""

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from serving.handlers.context import Call
from serving.handlers.joining import Batching, Joining


@dataclass(frozen=True)
class Answer:
    """A body, whole or in parts that are sent as they come, and its media type."""

    body: bytes | Generator[bytes]
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Handler(Protocol):
    """A model with its formats. Each worker process has its own."""

    @property
    def lock(self) -> contextlib.AbstractContextManager[Any, Any]:
        """A lock that is held from decode to encode, and for every part of a stream."""

    @property
    def wants_main_thread(self) -> bool:
        """True if all of it runs on the process's main thread, where `warm_up` ran."""

    joining: Joining | None  # which inputs of several requests `predict` takes joined; None: none

    @property
    def batching(self) -> Batching | None:
        """The batching that was asked for, if it takes a check at start to set `joining`; else None."""

    def refusal_to_join(self) -> str | None:
        """Return why `predict` cannot be called for several requests at once, or None."""

    @property
    def is_ready(self) -> bool:
        """True once this process's model has passed `warm_up`."""

    def warm_up(self) -> None:
        """Make the model ready, or raise."""

    def begin(self, call: Call) -> None:
        """Make `call` the request that the following steps are for."""

    def negotiate(self, accept: str) -> str:
        """Choose the media type of the answer by the Accept header. Raises BadRequest (406)."""

    def decode(self, body: bytes, content_type: str) -> Any:
        """Turn a request's body into the model's input. Raises BadRequest for the caller's mistakes."""

    def predict(self, data: Any) -> Any:
        """Return the model's output for what `decode` returned."""

    def encode(self, prediction: Any, accept: str) -> Answer:
        """Turn the model's output into an answer of the type that `negotiate` chose."""

    def count(self, data: Any) -> int:
        """Return the number of instances that `decode` returned, for the metrics."""

    def openapi(self) -> str | None:
        """Return the OpenAPI document of the formats, or None."""
