"""Tables of docs/proof.md, made from what the cases recorded (pytest's record_property)."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypedDict

from pipeline.verification.confidence import confidence_percent

RATES = frozenset(
    {"a_a_verdict", "catch", "rehearsal"}
)  # a case that has recorded one of these is not tried again
SIMULATED = ("alarms", "worse", "found")
CONFIDENCE_PERCENT = 95.0


class Verdict(TypedDict):
    """The outcome of one case; `seconds` are wall-clock, measured here."""

    verdict: str  # passed | skipped | failed
    seconds: float
    said: dict[str, str]  # what the test recorded of its run (pytest's record_property)


Verdicts = Mapping[str, Verdict]


def is_final(found: Verdict) -> bool:
    """Say whether a case keeps its verdict: it passed, or it counts in a rate, which a second try would make better."""
    return found["verdict"] == "passed" or not RATES.isdisjoint(found.get("said", {}))


def at_most_percent(hits: int, samples: int) -> float:
    """Return the most that a share is, in percent, with 95 % confidence (Clopper and Pearson's one-sided bound)."""
    low, high = 0.0, 100.0
    for _ in range(50):
        middle = (low + high) / 2
        is_enough = confidence_percent(samples, hits, middle) >= CONFIDENCE_PERCENT
        low, high = (low, middle) if is_enough else (middle, high)
    return high


def tables(verdicts: Verdicts) -> list[str]:
    """Format every table for which a case has recorded something, as lines of the page."""
    return [*false_alarms(verdicts), *rehearsals(verdicts), *catches(verdicts), *simulations(verdicts)]


def recorded(verdicts: Verdicts, name: str) -> Iterator[tuple[str, str]]:
    """Yield each case that has recorded this property, with its value."""
    for case, found in verdicts.items():
        if name in found.get("said", {}):
            yield case, found["said"][name]


def false_alarms(verdicts: Verdicts) -> list[str]:
    """Count how often a release compared with itself was called slower."""
    found = [said for _, said in recorded(verdicts, "a_a_verdict")]
    if not found:
        return []
    alarms, unsure = found.count("failed"), found.count("inconclusive")
    return [
        "## Releases compared with themselves",
        "",
        f"{len(found)} A/A comparisons: {alarms} false alarms observed ({100 * alarms / len(found):.0f} %; at most "
        f"{at_most_percent(alarms, len(found)):.1f} % with 95 % confidence), {unsure} inconclusive. At most 1 % is what the "
        "test promises for a candidate just as slow as is allowed.",
        "",
    ]


def rehearsals(verdicts: Verdicts) -> list[str]:
    """Count how often `make rehearse` refused the good release that it makes."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for _, said in recorded(verdicts, "rehearsal"):
        found = json.loads(said)
        where = (found["instances"], found["cache"], found["machine"])
        counts.setdefault(where, Counter())[found["result"]] += 1
    if not counts:
        return []
    rows = [
        f"| {' | '.join(where)} | {count['passed']} | {count['refused']} | {count['not judged']} | {_bound(count)} |"
        for where, count in counts.items()
    ]
    return [
        "## Good releases refused",
        "",
        "Runs of `make rehearse`. *Not judged*: the machine was too busy or too small (exit code 75). The bound is of the runs "
        "that were judged, with 95 % confidence.",
        "",
        "| instances | caches | machine | passed | refused | not judged | refused at most |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _bound(count: Counter[str]) -> str:
    judged = count["passed"] + count["refused"]
    return f"{at_most_percent(count['refused'], judged):.1f} %" if judged else "–"


def catches(verdicts: Verdicts) -> list[str]:
    """List where each faulty release was caught, when, and at what cost to clients."""
    rows = []
    for _, said in recorded(verdicts, "catch"):
        found = json.loads(said)
        seconds = "" if found["where"] == "not caught" else f"{found['seconds']:,}"
        rows.append(
            f"| {found['fault']} | {found['strategy']} | {found['traffic']} | {found['where']} | {seconds} | "
            f"{found['lost']} of {found['requests']:,} | {found['wrong']} | {'yes' if found['required'] else 'no'} |"
        )
    if not rows:
        return []
    return [
        "## Releases with a fault",
        "",
        "Each was deployed while clients sent requests, at a rate by the clock of this machine; *after* is AWS's time from the "
        "beginning of `deploy` to the first alarm, or to the verdict if no alarm fired. *Lost* are requests without an answer "
        "or answered with an error, until the old release served alone again, or until `verify` ended. *Required*: the test "
        "fails if it is not caught; the others are below the stated power, or nothing compares the fleets, and are only recorded.",
        "",
        "| fault | strategy | clients | caught by | after, s | lost | answered wrongly | required |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def simulations(verdicts: Verdicts) -> list[str]:
    """List what the simulations of alarms and of the judge counted."""
    rows = [
        f"| `{case.partition('::')[2]}` | {name} | {said} |"
        for name in SIMULATED
        for case, said in recorded(verdicts, name)
    ]
    if not rows:
        return []
    return ["## Simulated bakes", "", "| case | counted | result |", "|---|---|---|", *rows, ""]
