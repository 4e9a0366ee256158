"""The handler of the project's own model: `codec` for its formats, an engine for its predictions."""

import contextlib
import threading

import numpy as np
from numpy.typing import NDArray

from digits import codec
from digits.schema import INTERFACE
from serving.engines import Engine
from serving.handlers import media
from serving.handlers.context import Call
from serving.handlers.handler import Answer
from serving.handlers.joining import Joining


class DigitsHandler:
    """The project's own model, computed by an engine: `codec` is its formats."""

    wants_main_thread = False
    joining: Joining | None = Joining()
    batching = None  # nothing is to be checked

    def __init__(self, engine: Engine) -> None:
        self.lock = contextlib.nullcontext()  # none is needed: `predict` has its own
        self._engine = engine
        self._predicting = threading.Lock()  # keeps workers × engine threads within the CPUs
        self.is_ready = False

    def warm_up(self) -> None:
        """Predict a blank instance, which opens the engine's session, and encode the answer in every type.

        Raises BadPrediction if it gives no numbers.
        """
        prediction = self.predict(codec.blank())
        for media_type in media.ALL:
            codec.encode(prediction, media_type)
        self.is_ready = True

    def refusal_to_join(self) -> None:
        """Return None: rows are predicted independently of each other."""

    def begin(self, call: Call) -> None:
        """Do nothing: no step here reads the request's headers."""

    def negotiate(self, accept: str) -> str:
        return media.negotiate(accept)

    def decode(self, body: bytes, content_type: str) -> NDArray[np.float32]:
        return codec.decode(body, content_type)

    def predict(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict one batch at a time. Row i answers instance i, independently of the others."""
        with self._predicting:
            return self._engine.predict(data)

    def encode(self, prediction: NDArray[np.float32], accept: str) -> Answer:
        return Answer(codec.encode(prediction, accept), accept)

    def count(self, data: NDArray[np.float32]) -> int:
        return len(data)

    def openapi(self) -> str:
        return INTERFACE.text()
