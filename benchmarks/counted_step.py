"""One command of the pipeline, with its waiting time measured and its writes to AWS counted.

`python -m benchmarks.counted_step STEP …` runs `python -m pipeline STEP …`, and writes the counts to the file that
PIPELINE_COUNTED names.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

RESULT = "PIPELINE_COUNTED"
READS = ("describe_", "list_", "get_", "head_", "invoke_", "batch_get_", "simulate_")


class StepRecorder:
    """The waiting time and the writes of one step.

    `waited`: seconds asleep, or while AWS updated the endpoint; `weights`: seconds until the weights were in S3.
    """

    def __init__(self) -> None:
        self.waited = self.weights = 0.0  # seconds
        self.writes: Counter[str] = Counter()
        self._is_waiting = False

    def timing_wait(self, wait: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `wait` so that its time is added to `waited`; a nested wait counts once."""

        @wraps(wait)
        def waiting(*args: Any, **kwargs: Any) -> Any:
            if self._is_waiting:
                return wait(*args, **kwargs)
            self._is_waiting, began = True, time.monotonic()
            try:
                return wait(*args, **kwargs)
            finally:
                self.waited += time.monotonic() - began
                self._is_waiting = False

        return waiting

    def timing_weights(self, sync: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `sync` so that its time is kept as `weights`."""

        @wraps(sync)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.monotonic()
            try:
                return sync(*args, **kwargs)
            finally:
                self.weights = time.monotonic() - began

        return timed

    def count_write(self, model: Any, **_: Any) -> None:
        """Count a call that changes AWS, by boto3's name for it."""
        from botocore import xform_name

        operation = xform_name(model.name)
        if not operation.startswith(READS):
            self.writes[f"{model.service_model.service_name} {operation}"] += 1


def main() -> int:
    """Run the command; return its exit code."""
    recorder = StepRecorder()
    time.sleep = recorder.timing_wait(time.sleep)  # before another module imports it by name
    import boto3

    make = boto3.client

    def client(service: str, **options: Any) -> Any:
        made = make(service, **options)
        made.meta.events.register("before-call", recorder.count_write)
        return made

    boto3.client = client
    from pipeline import __main__ as cli
    from pipeline.deployment.live import Waiter
    from pipeline.publishing import publish, weights

    vars(publish)["sync_weights"] = recorder.timing_weights(weights.sync_weights)  # imported there by name
    Waiter.until_in_service = recorder.timing_wait(Waiter.until_in_service)  # type: ignore[method-assign]
    try:
        return cli.main(sys.argv[1:])
    finally:
        counted = {"waited": recorder.waited, "weights": recorder.weights, "writes": recorder.writes}
        Path(os.environ[RESULT]).write_text(json.dumps(counted))


if __name__ == "__main__":
    sys.exit(main())
