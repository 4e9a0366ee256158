"""The tables of docs/proof.md are made from what the cases recorded."""

import json
from typing import Any

import pytest

from tests.proof_tables import Verdict, at_most_percent, catches, is_final, rehearsals, simulations, tables

CAUGHT: dict[str, Any] = {
    "fault": "wrong weights", "strategy": "canary", "traffic": "1/s", "where": "smoke veto", "seconds": 1230,
    "lost": 2, "wrong": 7, "requests": 1400, "required": True,
}  # fmt: skip
PASSED: Verdict = {"verdict": "passed", "seconds": 1.0, "said": {}}


def said(name: str, value: Any, verdict: str = "passed") -> Verdict:
    return {"verdict": verdict, "seconds": 1.0, "said": {name: value}}


def rehearsal(result: str, machine: str = "quiet") -> Verdict:
    found = {"instances": "process", "cache": "cold", "machine": machine, "result": result}
    return said("rehearsal", json.dumps(found), "failed" if result == "refused" else "passed")


def test_a_caught_fault_has_a_row_with_where_when_and_what_was_lost() -> None:
    missed = CAUGHT | {"where": "not caught", "required": False}
    rows = catches({"a": said("catch", json.dumps(CAUGHT)), "b": said("catch", json.dumps(missed))})

    assert "| wrong weights | canary | 1/s | smoke veto | 1,230 | 2 of 1,400 | 7 | yes |" in rows
    assert "| wrong weights | canary | 1/s | not caught |  | 2 of 1,400 | 7 | no |" in rows


def test_refused_rehearsals_are_counted_with_a_bound_that_leaves_those_out_that_were_not_judged() -> None:
    runs = [rehearsal("passed")] * 18 + [rehearsal("refused"), rehearsal("not judged")]
    rows = rehearsals({str(number): each for number, each in enumerate(runs)})

    assert f"| process | cold | quiet | 18 | 1 | 1 | {at_most_percent(1, 19):.1f} % |" in rows


def test_where_no_rehearsal_was_judged_there_is_no_bound() -> None:
    assert "| process | cold | quiet | 0 | 0 | 1 | – |" in rehearsals({"a": rehearsal("not judged")})


@pytest.mark.parametrize(("hits", "samples", "percent"), [(0, 20, 13.9), (1, 20, 21.6), (0, 240, 1.24)])
def test_the_bound_is_clopper_and_pearsons(hits: int, samples: int, percent: float) -> None:
    """The rule of three, exactly: 1 - 0.05 ^ (1 / n) without a hit."""
    assert at_most_percent(hits, samples) == pytest.approx(percent, abs=0.05)


def test_the_counts_of_simulated_alarms_are_listed() -> None:
    case = "tests/pipeline/test_alarms_simulated.py::test_kept[keeps-1.0]"

    assert "| `test_kept[keeps-1.0]` | alarms | 1/s: 0 of 48 rolled back |" in simulations(
        {case: said("alarms", "1/s: 0 of 48 rolled back")}
    )


@pytest.mark.parametrize(
    ("found", "final"),
    [
        (PASSED, True),
        (rehearsal("refused"), True),
        ({"verdict": "failed", "seconds": 1.0, "said": {}}, False),
    ],
)
def test_a_case_that_failed_is_tried_again_unless_a_rate_is_counted_from_it(
    found: Verdict, final: bool
) -> None:
    assert is_final(found) is final


def test_the_page_has_a_table_of_each_kind_of_record() -> None:
    found = {"a": said("a_a_verdict", "passed"), "b": rehearsal("passed"), "c": said("worse", "3")}
    headings = [
        line for line in tables(found | {"d": said("catch", json.dumps(CAUGHT))}) if line.startswith("#")
    ]

    assert headings == [
        "## Releases compared with themselves", "## Good releases refused", "## Releases with a fault", "## Simulated bakes"
    ]  # fmt: skip


def test_without_records_there_are_no_tables() -> None:
    assert tables({"a": PASSED}) == []
