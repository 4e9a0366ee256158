"""Metrics shared by all workers.

The counters live in one file that the master maps before it forks, so any worker can report the sums.
Each worker writes only its own row, which it claims by a file lock that the kernel frees when the worker
dies; the worker that replaces it continues the same row. Counting takes no lock between processes.
"""

import fcntl
import mmap
import os
import tempfile
import threading
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from serving.http.invocation import PARTS, Invocation

ROWS = 256  # workers beyond that share the last row, and may lose counts
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)  # seconds, at most
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)  # requests, at most
_KINDS = ("2xx", "4xx", "5xx")
_KIND = {2: 0, 3: 1, 4: 1, 5: 2}  # SageMaker takes a redirection for an error of the model's
_INSTANCES = len(_KINDS)
_PREDICTED = _INSTANCES + 1  # requests
_BATCHES = _PREDICTED + 1  # by size, sums of 1/batch: each request counts its share of its batch
_UNFIT = _BATCHES + len(BATCH_SIZES) + 1  # 1 while the row's worker cannot predict
_PARTS = _UNFIT + 1
_BUCKETS = _PARTS + len(PARTS)
_COLUMNS = _BUCKETS + len(BUCKETS) + 1
_ROW_BYTES = _COLUMNS * 8


class Counters:
    """Invocations by kind of answer and by duration, instances predicted, seconds spent on each part."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            file.truncate(ROWS * _ROW_BYTES)
            self._memory = mmap.mmap(file.fileno(), ROWS * _ROW_BYTES)
            self._claims = os.dup(file.fileno())
        self._values = memoryview(self._memory).cast("d")
        self._owner = 0
        self._row = 0
        self._mutex = threading.Lock()

    def count(self, invocation: Invocation) -> None:
        """Count one invocation that has ended."""
        with self._mutex:
            row, values = self._own_row(), self._values
            values[row + _KIND[invocation.status // 100]] += 1
            values[row + _INSTANCES] += invocation.instances
            if invocation.instances:
                values[row + _PREDICTED] += 1
                values[row + _BATCHES + bisect_left(BATCH_SIZES, invocation.batch)] += 1 / invocation.batch
            for part, seconds in enumerate(invocation.seconds, row + _PARTS):
                values[part] += seconds
            values[row + _BUCKETS + bisect_left(BUCKETS, invocation.total)] += 1

    def set_fit(self, is_fit: bool) -> None:
        """Record whether this worker's model can predict."""
        with self._mutex:
            self._values[self._own_row() + _UNFIT] = 0.0 if is_fit else 1.0

    def unfit_workers(self) -> int:
        """Return the number of workers whose model cannot predict."""
        return int(sum(self._values[_UNFIT::_COLUMNS].tolist()))

    def prometheus_text(self, release: str, instance: str) -> str:
        """Format the sums over all workers as Prometheus text."""
        totals = [sum(self._values[column::_COLUMNS].tolist()) for column in range(_COLUMNS)]
        parts, batches = totals[_PARTS:_BUCKETS], totals[_BATCHES:_UNFIT]
        lines = [
            *_header("invocations_total", "counter", "Requests to /invocations, by kind of answer."),
            *(f'invocations_total{{code="{name}"}} {totals[i]:.0f}' for i, name in enumerate(_KINDS)),
            *_header("predicted_instances_total", "counter", "Instances that were predicted."),
            f"predicted_instances_total {totals[_INSTANCES]:.0f}",
            *_header(
                "predicted_batches_total", "counter", "Batches of requests that were predicted at once."
            ),
            f"predicted_batches_total {sum(batches):.0f}",
            *_histogram(
                "predicted_batch_requests",
                "Requests that were predicted at once.",
                BATCH_SIZES,
                batches,
                f"{totals[_PREDICTED]:.0f}",
            ),
            *_header("invocation_seconds_total", "counter", "Time spent in the application on invocations."),
            f"invocation_seconds_total {sum(parts):.6f}",
            *_header("invocation_part_seconds_total", "counter", "The same, by part."),
            *(
                f'invocation_part_seconds_total{{part="{name}"}} {seconds:.6f}'
                for name, seconds in zip(PARTS, parts, strict=True)
            ),
            *_histogram(
                "invocation_duration_seconds",
                "Time from nginx's sending a request on to its answer.",
                BUCKETS,
                totals[_BUCKETS:],
                f"{sum(parts):.6f}",
            ),
            *_header("unfit_workers", "gauge", "Workers whose model cannot predict."),
            f"unfit_workers {totals[_UNFIT]:.0f}",
            *_header("serve_info", "gauge", "Which release and instance this is."),
            f'serve_info{{release="{release}",instance="{instance}"}} 1',
        ]
        return "\n".join(lines) + "\n"

    def _own_row(self) -> int:
        """Return the offset of this process's row; the first call after a fork claims one."""
        if self._owner != os.getpid():
            self._row, self._owner = self._claim() * _COLUMNS, os.getpid()
            self._values[self._row + _UNFIT] = 0.0  # the row's last worker is gone
        return self._row

    def _claim(self) -> int:
        """Lock the first free row and return its number."""
        for row in range(ROWS):
            try:
                fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except OSError:
                continue  # a live worker has it
            return row
        return ROWS - 1


def _header(name: str, kind: str, sentence: str) -> tuple[str, str]:
    return f"# HELP {name} {sentence}", f"# TYPE {name} {kind}"


def _histogram(
    name: str, sentence: str, limits: Sequence[float], counts: Sequence[float], total: str
) -> list[str]:
    bounds = [*(f"{bound:g}" for bound in limits), "+Inf"]
    below = list(accumulate(counts))
    return [
        *_header(name, "histogram", sentence),
        *(f'{name}_bucket{{le="{bound}"}} {count:.0f}' for bound, count in zip(bounds, below, strict=True)),
        f"{name}_sum {total}",
        f"{name}_count {below[-1]:.0f}",
    ]
