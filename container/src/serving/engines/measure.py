"""Time the engines against each other, and take the one that an instance should serve with."""

import math
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.engines import ONNXRUNTIME, OPENVINO, TORCH, Choice, Engine

BATCHES = (1, 8)  # a lone request, and what comes together under load
ROUNDS = 5
ROUND_SECONDS = 0.05
# The first that is this near to the fastest is taken: two measurements then agree, and what costs less to
# import and to keep in memory wins a tie.
NEAR = 1.2
PREFERRED = (ONNXRUNTIME, OPENVINO, TORCH)

Times = Mapping[Choice, float]


def times(engines: Mapping[Choice, Engine], instances: NDArray[Any]) -> dict[Choice, float]:
    """Seconds an instance for each engine: the geometric mean over BATCHES of its fastest call.

    The engines take turns, so that what else the machine does meets all of them.
    """
    batches = [np.resize(instances, (size, *instances.shape[1:])) for size in BATCHES]
    best = {choice: [math.inf] * len(batches) for choice in engines}
    for _ in range(ROUNDS):
        for choice, engine in engines.items():
            for i, batch in enumerate(batches):
                best[choice][i] = min(best[choice][i], _fastest(engine, batch))
    return {
        choice: math.exp(sum(math.log(seconds) for seconds in found) / len(found))
        for choice, found in best.items()
    }


def pick(found: Times, allowed: Sequence[Choice]) -> Choice:
    """The engine among `allowed` to serve with: the first of PREFERRED that is NEAR the fastest."""
    fastest = min(found[choice] for choice in allowed)
    near = [choice for choice in allowed if found[choice] <= NEAR * fastest]
    return min(near, key=lambda choice: (PREFERRED.index(choice.engine), choice.precision))


def machine() -> str:
    """The processor's own name for itself."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def _fastest(engine: Engine, batch: NDArray[Any]) -> float:
    """Seconds an instance in the fastest of as many calls as fit into ROUND_SECONDS, and one at least.

    The fastest, for it is what the engine takes; the others are what else the machine did.
    """
    best, until = math.inf, time.perf_counter() + ROUND_SECONDS
    while best == math.inf or time.perf_counter() < until:
        started = time.perf_counter()
        engine.predict(batch)
        best = min(best, time.perf_counter() - started)
    return best / len(batch)
