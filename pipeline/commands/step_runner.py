"""How every step is run: whose account it is, the lock, the audit line, the record, GitHub's page."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from pipeline.account.bootstrap import require_account
from pipeline.commands import github
from pipeline.errors import PipelineError
from pipeline.model import Model
from pipeline.run import Run
from pipeline.state.audit import audited
from pipeline.state.lock import environment_lock
from pipeline.state.records import StepRecord, record_step

Say = Callable[[str], None]

# What changes an environment, or measures it while nothing may change: one of them at a time.
LOCKING = frozenset({"deploy", "autoscale", "verify", "promote", "rollback", "destroy"})
# What changes nothing leaves no audit line; each step of `release` leaves its own.
READING = frozenset({"preflight", "plan", "status", "audit", "release"})


def run_step(step: str, run: Run, say: Say, release: str | None, work: Callable[[], Model]) -> StepRecord:
    """Check whose account this is, do the work, and leave its record in the build folder.

    `release`: the id of the one that the step is about, where it is known before. Raises
    EnvironmentLocked when another run is changing the environment, and whatever the work raises.
    """
    require_account(run)
    started, folder = time.time(), run.build / run.env.name
    try:
        record = _kept(step, run, release, work)
    except PipelineError as error:
        github.tell_failure(step, error, folder, started, os.environ, say)
        raise
    github.tell_success(record, run.build, os.environ, say)
    return record


def _kept(step: str, run: Run, release: str | None, work: Callable[[], Model]) -> StepRecord:
    """Hold the lock and keep the audit line, where the step is one that needs them."""
    if step in READING:
        return record_step(run, step, work)
    locked = environment_lock(run, step) if step in LOCKING else nullcontext()
    with audited(step, run, release) as entry, locked:
        record = record_step(run, step, work)
        entry.release = record.result.get("release") or record.result.get("id") or release
        return record


@contextmanager
def logging_to(say: Say) -> Iterator[None]:
    """Pass on what the pipeline logs; the step of a journey passes on to the journey's own handler."""
    logger = logging.getLogger("pipeline")
    handler = logging.Handler()
    handler.emit = lambda record: say(record.getMessage())  # type: ignore[method-assign]
    before, level = logger.handlers[:], logger.level
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers[:] = before
        logger.setLevel(level)
