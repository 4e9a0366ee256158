"""The same model, decoding and encoding for every peer, so that only the servers differ.

Runs in each peer's own virtual environment: needs torch, NumPy and safetensors alone. WORKLOAD says which
model (digits or encoder), MODEL_DIR where its weights are, NETWORK the file with its network's class.
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
    """From a request's parsed JSON to an answer ready for JSON."""

    def decode(self, request: Any) -> Tensor:
        """The batch in a request, its first dimension the instances."""

    def predict(self, batch: Tensor) -> Tensor:
        """The model's output for a batch."""

    def encode(self, output: Tensor) -> dict[str, Any]:
        """The answer."""


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

    def decode(self, request: Any) -> Tensor:
        inputs = request["inputs"]
        tokens: Tensor = self._tokens([inputs] if isinstance(inputs, str) else inputs)
        return tokens

    def predict(self, batch: Tensor) -> Tensor:
        with torch.inference_mode():
            vectors: Tensor = self._network(batch)
            return vectors

    def encode(self, output: Tensor) -> dict[str, Any]:
        return {"embeddings": output.tolist()}


def load() -> Workload:
    """The workload that the environment names."""
    kind = {"digits": Digits, "encoder": Encoder}[os.environ["WORKLOAD"]]
    spec = importlib.util.spec_from_file_location("network", os.environ["NETWORK"])
    assert spec is not None
    assert spec.loader is not None
    network = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(network)
    return kind(network, Path(os.environ["MODEL_DIR"]) / "model.safetensors")


def predict_together(workload: Workload, batches: list[Tensor]) -> list[Tensor]:
    """What servers that batch do: one prediction for all requests, cut apart again."""
    outputs = workload.predict(torch.cat(batches))
    return list(outputs.split([len(batch) for batch in batches]))
