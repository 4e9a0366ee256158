"""Time the engines against each other, and choose the one to serve with."""

import math
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.engines import ONNXRUNTIME, OPENVINO, TORCH, Choice, Engine

BATCHES = (1, 8)  # a lone request, and a batch under load
ROUNDS = 5
ROUND_SECONDS = 0.05
# Engines within this factor of the fastest count as equal, so that repeated measurements agree. Among
# equals the first of PREFERRED is chosen: it takes less time to import and less memory.
EQUAL_WITHIN = 1.2
PREFERRED = (ONNXRUNTIME, OPENVINO, TORCH)

Times = Mapping[Choice, float]


def times(engines: Mapping[Choice, Engine], instances: NDArray[Any]) -> dict[Choice, float]:
    """Measure seconds an instance for each engine: the geometric mean over BATCHES of its fastest call.

    The engines take turns, so that other load on the machine affects all of them.
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


def choose(times: Times, allowed: Sequence[Choice]) -> Choice:
    """Choose the engine to serve with: among `allowed`, the first of PREFERRED that equals the fastest."""
    fastest = min(times[choice] for choice in allowed)
    equal = [choice for choice in allowed if times[choice] <= EQUAL_WITHIN * fastest]
    return min(equal, key=lambda choice: (PREFERRED.index(choice.engine), choice.precision))


def machine() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def _fastest(engine: Engine, batch: NDArray[Any]) -> float:
    """Measure seconds an instance in the fastest call within ROUND_SECONDS.

    The fastest call shows the engine's own cost; slower ones contain other load on the machine.
    """
    best, until = math.inf, time.perf_counter() + ROUND_SECONDS
    while best == math.inf or time.perf_counter() < until:
        started = time.perf_counter()
        engine.predict(batch)
        best = min(best, time.perf_counter() - started)
    return best / len(batch)
