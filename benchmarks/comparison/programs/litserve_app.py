"""LitServe: litserve_app.py PORT BATCH_SIZE (1: no batching)."""

import sys
from typing import Any

import litserve
import torch
import workload
from fastapi import Request
from torch import Tensor

BATCH_WAIT_SECONDS = 0.005


class Api(litserve.LitAPI):  # type: ignore[misc]
    """A LitServe API with one prediction for each request."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        torch.set_num_threads(1)
        self.served = workload.load()

    def decode_request(
        self, request: Request
    ) -> Tensor:  # this annotation makes LitServe pass the parsed JSON
        return self.served.decode(request)

    def predict(self, x: Tensor) -> Tensor:
        return self.served.predict(x)

    def encode_response(self, output: Tensor) -> dict[str, Any]:
        return self.served.encode(output)


class BatchingApi(Api):
    """A LitServe API with one prediction for all requests that arrive within BATCH_WAIT_SECONDS."""

    def batch(self, inputs: list[Tensor]) -> list[Tensor]:
        return inputs

    def predict(self, x: list[Tensor]) -> list[Tensor]:  # type: ignore[override]
        return workload.predict_together(self.served, x)

    def unbatch(self, output: list[Tensor]) -> list[Tensor]:
        return output


if __name__ == "__main__":
    size = int(sys.argv[2])
    if size > 1:
        api = BatchingApi(max_batch_size=size, batch_timeout=BATCH_WAIT_SECONDS, api_path="/invocations")
    else:
        api = Api(api_path="/invocations")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2, timeout=120, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        generate_client_file=False,
        access_log=False,
    )
