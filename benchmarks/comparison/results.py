"""What was measured, in a file: a later run goes on where this one stopped."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.comparison.load import Measurement
from benchmarks.comparison.measuring import Found

SCHEMA = 1


class OtherSettings(Exception):  # named for what happened
    """The file holds runs of another length: figures of the two are not to be mixed."""


@dataclass(frozen=True)
class Visit:
    """One server measured once, at every concurrency of one workload."""

    workload: str
    server: str
    repetition: int
    fingerprint: str  # of the code that was measured
    at: str  # ISO 8601, UTC
    found: Found
    revision: str = "unknown"  # the commit that was checked out


@dataclass
class Results:
    """All visits, and why a server could not be visited."""

    seconds: int
    machine: dict[str, str] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # "workload server": the reason

    def has(
        self, workload: str, server: str, repetition: int, fingerprint: str, *, quiet: float = 1.0
    ) -> bool:
        """Whether this visit was made, to the same code, while others took no more of the CPUs than `quiet`."""
        return any(
            (visit.repetition, visit.fingerprint) == (repetition, fingerprint) and visit.found.others <= quiet
            for visit in self.of(workload, server)
        )

    def add(self, visit: Visit) -> None:
        """Keep a visit; those to other code of the same server, and the same visit of before, are dropped."""
        self.visits = [each for each in self.visits if not _replaced(each, visit)]
        self.visits.append(visit)
        self.missing.pop(f"{visit.workload} {visit.server}", None)

    def of(self, workload: str, server: str) -> list[Visit]:
        return [visit for visit in self.visits if (visit.workload, visit.server) == (workload, server)]


def _replaced(old: Visit, new: Visit) -> bool:
    if (old.workload, old.server) != (new.workload, new.server):
        return False
    return old.fingerprint != new.fingerprint or old.repetition == new.repetition


def load(path: Path, seconds: int) -> Results:
    """What is in the file, or nothing yet. Raises OtherSettings."""
    if not path.is_file():
        return Results(seconds)
    text = json.loads(path.read_text())
    if text["seconds"] != seconds and text["visits"]:
        raise OtherSettings(
            f"{path} holds runs of {text['seconds']} s, not {seconds} s; "
            f"set SECONDS={text['seconds']}, or RESULTS to another file"
        )
    return Results(seconds, text["machine"], list(_visits(text["visits"])), text["missing"])


def save(results: Results, path: Path) -> None:
    """Write the file whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps({"schema": SCHEMA, **dataclasses.asdict(results)}, indent=1) + "\n")
    scratch.replace(path)


def _visits(listed: Iterable[dict[str, Any]]) -> Iterable[Visit]:
    for each in listed:
        found = each["found"]
        measurements = tuple(Measurement(**measurement) for measurement in found["measurements"])
        yield Visit(**{**each, "found": Found(**{**found, "measurements": measurements})})
