"""A TorchServe handler: TorchServe passes a list of requests, with one element when batching is off."""

import json
from typing import Any

import torch
import workload


class Handler:
    """The model behind TorchServe, loaded once in each worker."""

    def __init__(self) -> None:
        self.initialized = False

    def initialize(self, context: Any) -> None:  # noqa: ARG002
        torch.set_num_threads(1)
        self.served = workload.load()
        self.initialized = True

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[str]:  # noqa: ARG002
        batches = [self.served.decode(_parsed(request)) for request in data]
        return [
            json.dumps(self.served.encode(output))
            for output in workload.predict_together(self.served, batches)
        ]


def _parsed(request: dict[str, Any]) -> Any:
    body = request.get("body") or request.get("data")
    return body if isinstance(body, dict) else json.loads(bytes(body or b""))
