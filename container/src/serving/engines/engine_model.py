"""An engine in place of the network that a user's program expects."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from serving.engines import Engine


class EngineModel:
    """A model for `predict_fn(data, model)`: takes one tensor or array (N, …), returns the same kind."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, data: torch.Tensor | NDArray[Any]) -> torch.Tensor | NDArray[np.float32]:
        if isinstance(data, np.ndarray):
            return self._engine.predict(data)
        return torch.from_numpy(self._engine.predict(data.detach().cpu().numpy()))

    def eval(self) -> "EngineModel":
        """Return the model unchanged: it is always in evaluation mode."""
        return self

    def to(self, *_: Any, **__: Any) -> "EngineModel":
        """Return the model unchanged: an engine computes where it was loaded."""
        return self
