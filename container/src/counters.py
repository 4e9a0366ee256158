"""What happened since the start, counted by every worker and told by whichever is asked.

The counters live in one file that the master maps before it forks, so all workers share it. Each
worker writes only its own row, which it claims by a lock that the kernel frees when the worker dies;
the worker that replaces it goes on counting in the same row. No lock is taken between processes.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import threading

ROWS = 256  # workers beyond that share the last row, and may lose a count to each other
_ROW = struct.Struct("5d")  # 2xx, 4xx, 5xx, instances, seconds
_NAMES = ("2xx", "4xx", "5xx")
_COLUMN = {2: 0, 4: 1, 5: 2}


class Counters:
    """Invocations by kind of answer, instances predicted, and seconds spent on them."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            file.truncate(ROWS * _ROW.size)
            self._memory = mmap.mmap(file.fileno(), ROWS * _ROW.size)
            self._claims = os.dup(file.fileno())
        self._owner = 0
        self._row = 0
        self._mutex = threading.Lock()

    def count(self, status: int, instances: int, seconds: float) -> None:
        """Count one invocation that was answered with `status`, for `instances` predictions."""
        with self._mutex:
            if self._owner != os.getpid():
                self._row, self._owner = self._claim(), os.getpid()
            values = list(_ROW.unpack_from(self._memory, self._row * _ROW.size))
            values[_COLUMN[status // 100]] += 1
            values[3] += instances
            values[4] += seconds
            _ROW.pack_into(self._memory, self._row * _ROW.size, *values)

    def page(self, release: str, instance: str) -> str:
        """All workers' counts together, as Prometheus text."""
        totals = [sum(column) for column in zip(*_ROW.iter_unpack(self._memory[:]), strict=True)]
        lines = [
            "# HELP invocations_total Requests to /invocations, by kind of answer.",
            "# TYPE invocations_total counter",
            *(f'invocations_total{{code="{name}"}} {totals[i]:.0f}' for i, name in enumerate(_NAMES)),
            "# HELP predicted_instances_total Instances that were predicted.",
            "# TYPE predicted_instances_total counter",
            f"predicted_instances_total {totals[3]:.0f}",
            "# HELP invocation_seconds_total Time spent in the application on invocations.",
            "# TYPE invocation_seconds_total counter",
            f"invocation_seconds_total {totals[4]:.6f}",
            "# HELP serve_info Which release and instance this is.",
            "# TYPE serve_info gauge",
            f'serve_info{{release="{release}",instance="{instance}"}} 1',
        ]
        return "\n".join(lines) + "\n"

    def _claim(self) -> int:
        for row in range(ROWS):
            try:
                fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except OSError:
                continue  # a live worker's
            return row
        return ROWS - 1
