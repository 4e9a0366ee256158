"""The trials of a run, each kept in a file as soon as it ends, so that a later run continues where one stopped."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.comparison.load import Measurement
from benchmarks.comparison.measuring import ServerMeasurement

SCHEMA = 2


class OtherSettings(Exception):
    """The file holds trials of another duration; the two must not be mixed."""


@dataclass(frozen=True)
class Trial:
    """One server measured once, at every concurrency of one workload."""

    workload: str
    server: str
    repetition: int
    fingerprint: str  # of the measured code
    at: str  # ISO 8601, UTC
    measured: ServerMeasurement
    revision: str = "unknown"  # the commit that was checked out


@dataclass
class TrialLog:
    """All trials of runs of `seconds`. `missing`: the reason by "workload server" for a server without a trial."""

    seconds: int
    machine: dict[str, str] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def has(
        self, workload: str, server: str, repetition: int, fingerprint: str, *, max_background: float = 1.0
    ) -> bool:
        """Return True if the log has this trial of the same code, with no more than `max_background` CPU share."""
        return any(
            (trial.repetition, trial.fingerprint) == (repetition, fingerprint)
            and trial.measured.background_cpu_share <= max_background
            for trial in self.of(workload, server)
        )

    def add(self, trial: Trial) -> None:
        """Add a trial; it replaces the same repetition, and all trials of other code of the same server."""
        self.trials = [each for each in self.trials if not _is_replaced(each, trial)]
        self.trials.append(trial)
        self.missing.pop(f"{trial.workload} {trial.server}", None)

    def of(self, workload: str, server: str) -> list[Trial]:
        """Return the trials of one server with one workload."""
        return [trial for trial in self.trials if (trial.workload, trial.server) == (workload, server)]


def _is_replaced(old: Trial, new: Trial) -> bool:
    if (old.workload, old.server) != (new.workload, new.server):
        return False
    return old.fingerprint != new.fingerprint or old.repetition == new.repetition


def load(path: Path, seconds: int) -> TrialLog:
    """Read the file, or begin an empty log. Raises OtherSettings for a file of another duration."""
    if not path.is_file():
        return TrialLog(seconds)
    document = json.loads(path.read_text())
    if document["seconds"] != seconds and document["trials"]:
        raise OtherSettings(
            f"{path} holds runs of {document['seconds']} s, not {seconds} s; "
            f"set SECONDS={document['seconds']}, or RESULTS to another file"
        )
    return TrialLog(seconds, document["machine"], list(_trials(document["trials"])), document["missing"])


def save(log: TrialLog, path: Path) -> None:
    """Write the file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps({"schema": SCHEMA, **dataclasses.asdict(log)}, indent=1) + "\n")
    scratch.replace(path)


def _trials(documents: Iterable[dict[str, Any]]) -> Iterable[Trial]:
    for document in documents:
        measured = document["measured"]
        measurements = tuple(Measurement(**each) for each in measured["measurements"])
        yield Trial(
            **{**document, "measured": ServerMeasurement(**{**measured, "measurements": measurements})}
        )
