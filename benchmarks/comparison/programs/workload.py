"""The same model, decoding and encoding for every peer, so that only the servers differ.

Runs in each peer's own virtual environment: needs torch, NumPy and safetensors alone. WORKLOAD names the
model (digits or encoder), MODEL_DIR the folder of its weights, NETWORK the file with its network's class, DTYPE the
encoder's type, such as bfloat16.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor


class Workload(Protocol):
    """A model with its decoder and encoder."""

    def decode(self, request: Any) -> Tensor:
        """Return the batch of a request's parsed JSON; its first dimension counts the instances."""

    def predict(self, batch: Tensor) -> Tensor:
        """Return the model's output for a batch."""

    def encode(self, output: Tensor) -> dict[str, Any]:
        """Return the answer, ready for JSON."""


class Digits:
    """{"instances": [[64 numbers], …]} to {"predictions": [{"label", "probabilities"}, …]}."""

    def __init__(self, network: ModuleType, weights: Path) -> None:
        self._network = network.DigitsNet().eval()
        self._network.load_state_dict(load_file(weights))

    def decode(self, request: Any) -> Tensor:
        return torch.tensor(request["instances"], dtype=torch.float32)

    def predict(self, batch: Tensor) -> Tensor:
        with torch.inference_mode():
            probabilities: Tensor = self._network(batch).softmax(dim=1)
            return probabilities

    def encode(self, output: Tensor) -> dict[str, Any]:
        rows = output.tolist()
        return {"predictions": [{"label": row.index(max(row)), "probabilities": row} for row in rows]}


class Encoder:
    """{"inputs": "a text"}, or a list of them, to {"embeddings": [[384 numbers], …]}."""

    def __init__(self, network: ModuleType, weights: Path) -> None:
        self._tokens = network.tokens
        self._network = network.Encoder().eval()
        self._network.load_state_dict(load_file(weights))
        self._network.to(getattr(torch, os.environ.get("DTYPE", "float32")))

    def decode(self, request: Any) -> Tensor:
        inputs = request["inputs"]
        tokens: Tensor = self._tokens([inputs] if isinstance(inputs, str) else inputs)
        return tokens

    def predict(self, batch: Tensor) -> Tensor:
        with torch.inference_mode():
            vectors: Tensor = self._network(batch).float()
            return vectors

    def encode(self, output: Tensor) -> dict[str, Any]:
        return {"embeddings": output.tolist()}


def load() -> Workload:
    """Load the workload that the environment names."""
    kinds: dict[str, type[Digits] | type[Encoder]] = {"digits": Digits, "encoder": Encoder}
    kind = kinds[os.environ["WORKLOAD"]]
    spec = importlib.util.spec_from_file_location("network", os.environ["NETWORK"])
    assert spec is not None
    assert spec.loader is not None
    network = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(network)
    return kind(network, Path(os.environ["MODEL_DIR"]) / "model.safetensors")


def predict_together(workload: Workload, batches: list[Tensor]) -> list[Tensor]:
    """Predict all batches at once, and return the output of each, as servers that batch do."""
    outputs = workload.predict(torch.cat(batches))
    return list(torch.split(outputs, [len(batch) for batch in batches]))
