"""Run one step: check the account, hold the lock, keep audit line and record, fill GitHub's page."""

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol

from pipeline.account.bootstrap import require_account
from pipeline.cli import github
from pipeline.errors import PipelineError
from pipeline.model import Model
from pipeline.run import Run
from pipeline.state.audit import audited, judged_in_words
from pipeline.state.lock import environment_lock
from pipeline.state.records import StepRecord, record_step

log = logging.getLogger(__name__)


class StepRules(Protocol):
    """The rules of a step: does it lock its environment, does it leave an audit line."""

    name: str | None
    locks: bool
    audited: bool


def run_recorded(step: StepRules, run: Run, release: str | None, work: Callable[[], Model]) -> StepRecord:
    """Check whose account this is, do the work, and leave its record in the build folder.

    `release`: the id of the release that the step is about, if it is known before. Raises
    EnvironmentLocked when another run is changing the environment, and whatever the work raises.
    """
    require_account(run)
    started, folder, name = run.clock.now(), run.build / run.env.name, str(step.name)
    try:
        record = _recorded(step, run, release, work)
    except PipelineError as error:
        github.write_failure(name, error, folder, started, os.environ)
        raise
    github.write_success(record, run.build, os.environ)
    return record


def _recorded(step: StepRules, run: Run, release: str | None, work: Callable[[], Model]) -> StepRecord:
    """Do the work, under the lock and with an audit line where the step is one that needs them."""
    name = str(step.name)
    if not step.audited:
        return record_step(run, name, work)
    locked = environment_lock(run, name) if step.locks else nullcontext()
    with audited(name, run, release) as entry, locked:
        record = record_step(run, name, work)
        entry.release = record.result.get("release") or record.result.get("id") or release
        entry.unchecked = record.result.get("unchecked") is True
        entry.judged = judged_in_words(record.result)
        entry.accepted = record.result.get("accepted") or {}
        return record
