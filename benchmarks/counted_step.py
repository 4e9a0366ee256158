"""One command of the pipeline with its AWS watched: how long it waited, and what it wrote.

`python -m benchmarks.counted_step STEP …` is `python -m pipeline STEP …`; PIPELINE_COUNTED names the file for
the counts.
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


class Watch:
    """What a step did to the clock and to AWS. `waited`: asleep, or while AWS moved the endpoint;
    `weights`: until the weights were known to be in S3.
    """

    def __init__(self) -> None:
        self.waited = self.weights = 0.0  # seconds
        self.writes: Counter[str] = Counter()
        self._is_waiting = False

    def timed(self, wait: Callable[..., Any]) -> Callable[..., Any]:
        """Add up how long `wait` takes; a wait within a wait counts once."""

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

    def syncing(self, sync: Callable[..., Any]) -> Callable[..., Any]:
        """Note how long it takes to have the weights in S3."""

        @wraps(sync)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.monotonic()
            try:
                return sync(*args, **kwargs)
            finally:
                self.weights = time.monotonic() - began

        return timed

    def count(self, model: Any, **_: Any) -> None:
        """Note a call as it leaves, by boto3's name for it."""
        from botocore import xform_name

        operation = xform_name(model.name)
        if not operation.startswith(READS):
            self.writes[f"{model.service_model.service_name} {operation}"] += 1


def main() -> int:
    """Run the command; return its own exit code."""
    watch = Watch()
    time.sleep = watch.timed(time.sleep)  # before anything is imported that keeps it
    import boto3

    make = boto3.client

    def client(service: str, **options: Any) -> Any:
        made = make(service, **options)
        made.meta.events.register("before-call", watch.count)
        return made

    boto3.client = client
    from pipeline import __main__ as cli
    from pipeline.deployment.live import Waiter
    from pipeline.publishing import publish

    publish.sync_weights = watch.syncing(publish.sync_weights)
    Waiter.until_in_service = watch.timed(Waiter.until_in_service)  # type: ignore[method-assign]
    try:
        return cli.main(sys.argv[1:])
    finally:
        counted = {"waited": watch.waited, "weights": watch.weights, "writes": watch.writes}
        Path(os.environ[RESULT]).write_text(json.dumps(counted))


if __name__ == "__main__":
    sys.exit(main())
