"""What stands between an HTTP request and an answer: decode, predict, encode.

`predictor.py` knows nothing else of a model, so the project's own one and a user's inference.py are
served in the same way.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import codec
import media
import numpy as np
import schema
from engines import Engine
from engines.golden import Golden
from numpy.typing import NDArray


class HandlerFailed(Exception):  # named for what happened
    """A function of the user's raised (it is the cause); the text is for the caller."""

    def __init__(self, sentence: str, *, status: int = 500) -> None:
        super().__init__(sentence)
        self.status = status


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
    def turn(self) -> contextlib.AbstractContextManager[Any, Any]:
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


class DigitsHandler:
    """The project's own model, computed by an engine: `codec` is its formats."""

    takes_batches = True

    def __init__(self, engine: Engine, golden: Golden | None = None) -> None:
        self.turn = contextlib.nullcontext()  # decoding and encoding need none; predicting has its own
        self._engine = engine
        self._golden = golden or Golden.blank(codec.PIXELS)
        self._predicting = threading.Lock()  # so that workers × engine threads stays within the CPUs
        self.is_ready = False

    def warm_up(self) -> None:
        """Predict the golden cases, and so open the engine's session; raises WrongAnswers if they differ."""
        self._golden.check(self.predict(self._golden.instances))
        self.is_ready = True

    def negotiate(self, accept: str) -> str:
        return media.negotiate(accept)

    def decode(self, body: bytes, content_type: str) -> NDArray[np.float32]:
        return codec.decode(body, content_type)

    def predict(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """One batch at a time: threads wait for their turn. Row i answers instance i, whatever its neighbours."""
        with self._predicting:
            return self._engine.predict(data)

    def encode(self, prediction: NDArray[np.float32], accept: str) -> Answer:
        return Answer(codec.encode(prediction, accept), accept)

    def count(self, data: NDArray[np.float32]) -> int:
        return len(data)

    def openapi(self) -> str:
        return schema.text()
