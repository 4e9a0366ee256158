"""Releases with a fault, their deployment while clients send requests, and where each was caught."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from golden import Request
from pipeline.aws import AwsClient
from pipeline.errors import (
    DeploymentFailed,
    DeploymentRolledBack,
    PipelineError,
    ReleaseUnproved,
    SmokeFailed,
)
from pipeline.publishing.publish import publish
from pipeline.release import Release
from pipeline.run import Run

TIME_SCALE = 30
ALLOWED_SECONDS = 60  # for a start, the least that AWS takes; starts are never scaled
NOT_CAUGHT = "not caught"
CASES = 40  # golden ones: `wrong 20` answers two of them wrongly
IN_FLIGHT = 64
STRATEGIES = ("canary", "linear", "rolling", "all_at_once")
TRAFFIC = {"1/s": 1.0, "40/s": 40.0}  # requests of clients, by the clock of this machine
Must = Callable[[str], bool]


def always(_: str) -> bool:
    return True


def if_compared(strategy: str) -> bool:
    """Say whether the judge sees both fleets side by side."""
    return strategy != "all_at_once"


def never(_: str) -> bool:
    """Say no: it is below the stated power, and only recorded."""
    return False


@dataclass(frozen=True)
class Fault:
    """The behaviour of a release's weights, and whether a deployment by a strategy, or `verify` after it, must catch it."""

    behaviour: str
    must: Must = never


FAULTS = {
    "none": Fault("faulty none 0"),
    "crashes at start": Fault("exits", always),
    "crashes at request 500": Fault("faulty crashes 500"),
    "loads for too long": Fault(f"faulty loads {2 * ALLOWED_SECONDS}", always),
    "2 % answered with 500": Fault("faulty fails 50"),
    "5 % of inputs answered wrongly": Fault("faulty wrong 20", always),
    "wrong weights": Fault("faulty wrong 1", always),
    "10 % slower": Fault("faulty slower 10"),
    "30 % slower": Fault("faulty slower 30"),
    "100 % slower": Fault("faulty slower 100", if_compared),
    "10 % slower at p99": Fault("faulty slower-tail 10"),
    "30 % slower at p99": Fault("faulty slower-tail 30"),
    "100 % slower at p99": Fault("faulty slower-tail 100"),
    "leaks until killed": Fault("faulty leaks 150"),
    "holds 1 of 50 for 5 s": Fault("faulty holds 5", always),
    "cannot scale": Fault("faulty seats {full}", always),
}


def published_with(run: Run, folder: Path, mark: str, behaviour: str) -> Release:
    """Publish a model of this behaviour, whose right answer is the first number of an instance."""
    model = folder / mark
    model.mkdir(parents=True)
    cases = [{"instance": [number] * 64, "prediction": number} for number in range(CASES)]
    (model / "golden.json").write_text(json.dumps({"cases": cases, "tolerance": 0.1}))
    (model / "behaviour").write_text(behaviour)
    (model / "mark").write_text(mark)
    return publish(run, weights=str(model), engine=False)


@dataclass
class Traffic:
    """The clients' answers so far. `lost`: without an answer, or with an error; `wrong`: with another number."""

    answers: int = 0
    lost: int = 0
    wrong: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, number: int, body: bytes | None) -> None:
        """Count an answer; no body: there was none."""
        is_right = body is not None and json.loads(body) == {"predictions": [number]}
        with self.changed:
            self.answers += 1
            self.lost += body is None
            self.wrong += body is not None and not is_right
            self.changed.notify_all()

    def wait_for_answers(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.answers >= count, 60), "the clients get no answers"


@contextmanager
def clients(run: Run, per_second: float) -> Iterator[Traffic]:
    """Send requests, evenly spaced and without waiting for answers, until the block ends."""
    aws, traffic, ended = AwsClient(run.env.aws), Traffic(), threading.Event()

    def ask(number: int) -> None:
        request = Request(json.dumps({"instances": [[number] * 64]}).encode())
        try:
            answer = aws.invoke(run.env.endpoint.name, request)
        except PipelineError:
            traffic.note(number, None)
        else:
            traffic.note(number, answer.body if answer.status == 200 else None)

    def send(pool: ThreadPoolExecutor) -> None:
        began, sent = time.monotonic(), 0
        while not ended.wait(max(began + sent / per_second - time.monotonic(), 0)):
            pool.submit(ask, sent % CASES)
            sent += 1

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        sender = threading.Thread(target=send, args=(pool,))
        sender.start()
        try:
            yield traffic
        finally:
            ended.set()
            sender.join()


def caught_by(error: PipelineError) -> str:
    """Return what refused a release, by the error of its deployment. Raises the error if that is no verdict on it."""
    text = str(error)
    if isinstance(error, DeploymentFailed | ReleaseUnproved):
        return "start"
    if isinstance(error, SmokeFailed):
        return "judge, too late" if "worse than the old fleet" in text else "smoke test, when live"
    if not isinstance(error, DeploymentRolledBack):
        raise error
    alarms = [name for name in re.findall(r"Alarm (\S+): ", error.because) if name != "smoke-veto"]
    judge = ["judge"] if "worse than the old fleet" in error.because else []
    smoke = ["smoke veto"] if re.search(r"golden case \d+: ", error.because) else []
    return " + ".join([*alarms, *judge, *smoke]) or "start"
