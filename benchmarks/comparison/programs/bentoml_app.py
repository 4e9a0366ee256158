"""A BentoML service. BATCH_SIZE=1 turns its batching off."""

import os
from typing import Any

import bentoml
import torch
import workload

BATCH_SIZE = int(os.environ["BATCH_SIZE"])
FIELD = {"digits": "instances", "encoder": "inputs"}[os.environ["WORKLOAD"]]


@bentoml.service(
    workers=2,
    traffic={"timeout": 120, "max_concurrency": 1000},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Service:
    """The model behind BentoML; its batching joins the lists of rows of several requests."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.served = workload.load()

    def _answer(self, rows: list[Any]) -> list[Any]:
        answer = self.served.encode(self.served.predict(self.served.decode({FIELD: rows})))
        (listed,) = answer.values()
        return list(listed)

    if FIELD == "instances":

        @bentoml.api(  # type: ignore[untyped-decorator]
            route="/invocations",
            batchable=BATCH_SIZE > 1,
            max_batch_size=max(BATCH_SIZE, 32),
            max_latency_ms=10_000,
        )
        def invocations(self, instances: list[list[float]]) -> list[dict[str, Any]]:
            return self._answer(instances)

    else:

        @bentoml.api(  # type: ignore[untyped-decorator]
            route="/invocations",
            batchable=BATCH_SIZE > 1,
            max_batch_size=max(BATCH_SIZE, 32),
            max_latency_ms=60_000,
        )
        def invocations(self, inputs: list[str]) -> list[list[float]]:
            return self._answer(inputs)
