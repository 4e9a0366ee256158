"""An engine where a user's program expects its own network: `predict_fn(data, model)` calls it the same way."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from serving.engines import Engine


class EngineModel:
    """Takes one tensor, or array, of shape (N, …) and gives the answers as the same kind."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, data: torch.Tensor | NDArray[Any]) -> torch.Tensor | NDArray[np.float32]:
        if isinstance(data, np.ndarray):
            return self._engine.predict(data)
        return torch.from_numpy(self._engine.predict(data.detach().cpu().numpy()))

    def eval(self) -> "EngineModel":
        """It is in no other state."""
        return self

    def to(self, *_: Any, **__: Any) -> "EngineModel":
        """It stays where it computes."""
        return self
