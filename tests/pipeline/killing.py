"""An AWS client whose process is killed at a chosen call, and a process of its own to be killed in."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from typing import Any

from pipeline.aws import AwsClient

READS = ("Describe", "Get", "List", "Head", "Invoke", "BatchGet")
BOUND_SECONDS = 240


def never(_: Any) -> bool:
    return False


@dataclass
class Deadly(AwsClient):
    """The client; every write that its clients make is noted in `writes`, by the name of its operation.

    kill -9 comes right before (or, `is_after`, right after) write number `kill_at`, or as soon as an
    endpoint's description is one that `kills_at_sight`.
    """

    kill_at: int = 0
    is_after: bool = False
    kills_at_sight: Callable[[dict[str, Any]], bool] = never
    writes: list[str] = field(default_factory=list)

    def make_client(self, service: str) -> Any:
        client = super().make_client(service)
        client.meta.events.register("before-call", self._before)
        client.meta.events.register("after-call", self._after)
        return client

    def _before(self, model: Any, **_: Any) -> None:
        if model.name.startswith(READS):
            return
        self.writes.append(model.name)
        if len(self.writes) == self.kill_at and not self.is_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def _after(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        is_write = not model.name.startswith(READS)
        is_its_turn = is_write and self.is_after and len(self.writes) == self.kill_at
        if is_its_turn or (model.name == "DescribeEndpoint" and self.kills_at_sight(parsed)):
            os.kill(os.getpid(), signal.SIGKILL)


def begin(work: Callable[[], object]) -> ForkProcess:
    """Begin the work in a process of its own; what it raises is printed, and ends it with exit code 1."""

    def body() -> None:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=body, daemon=True)
    process.start()
    return process


def exit_code(process: ForkProcess) -> int:
    """Wait for a process, with a bound, and return its exit code: minus the signal that killed it."""
    process.join(BOUND_SECONDS)
    assert process.exitcode is not None, f"not ended within {BOUND_SECONDS} s"
    return process.exitcode


def is_killed(work: Callable[[], object]) -> bool:
    """Do the work in a process of its own; say whether it was killed before its end."""
    code = exit_code(begin(work))
    assert code in (0, -signal.SIGKILL), f"exit code {code}: see its traceback above"
    return code == -signal.SIGKILL
