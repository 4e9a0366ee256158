"""The protocol between HTTP and a model: decode, predict, encode.

The server knows nothing else of a model, so the project's own model and a user's inference.py are served
in the same way.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Answer:
    """A body, whole or in parts that go out as they come, and its media type."""

    body: bytes | Iterator[bytes]
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Handler(Protocol):
    """A model with its formats."""

    @property
    def lock(self) -> contextlib.AbstractContextManager[Any, Any]:
        """Held from decode to encode, and for every part of a stream."""

    @property
    def takes_batches(self) -> bool:
        """Whether `predict` takes several requests' input at once: arrays, joined along their first axis."""

    @property
    def is_ready(self) -> bool:
        """Whether this process's model has shown that it works."""

    def warm_up(self) -> None:
        """Make it ready, or raise."""

    def negotiate(self, accept: str) -> str:
        """What `encode` will be given for this Accept header; BadRequest (406) where it is impossible."""

    def decode(self, body: bytes, content_type: str) -> Any:
        """The model's input; raises BadRequest for what the caller did wrong."""

    def predict(self, data: Any) -> Any:
        """The model's output for what `decode` returned."""

    def encode(self, prediction: Any, accept: str) -> Answer:
        """The answer, in the type that `negotiate` chose."""

    def count(self, data: Any) -> int:
        """How many instances `decode` returned, for the metrics."""

    def openapi(self) -> str | None:
        """The OpenAPI document of its formats, if it has one."""
