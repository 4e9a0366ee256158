"""The summary shows the report's content in markdown, and escapes text from elsewhere."""

import json
import re
from pathlib import Path

import pytest

from load_tests.summary import MOST_POINTS, main, summary
from tests.load_tests.test_report import EVIDENCE, result

TIMELINE = {
    "policy": "hold 3000", "time_scale": 30.0,
    "rows": [
        {"phase": "alarm", "at": 1.0, "seconds": 6.4, "aws_seconds": 192.0, "kind": "model setting", "source": "CloudWatch"},
        {"phase": "back at the minimum", "at": None, "seconds": None, "aws_seconds": None, "kind": "measured here", "source": "x"},
    ],
}  # fmt: skip
REGRESSION = {
    "baseline": "r0", "environment": "production", "requests_per_second": 30.0, "looks": 1, "allowed_percent": 25.0,
    "differences": [
        {"metric": "p95_ms", "slices": 12, "percent": 4.2, "at_least": None, "at_most": 9.5},
    ],
    "candidate_failures": 1, "baseline_failures": 0, "verdict": "passed", "reason": "not slower than allowed",
}  # fmt: skip
COST = {
    "instance_type": "ml.m5.large", "currency": "USD", "prices_as_of": "2025-10-01", "prices_region": "us-east-1",
    "hourly": 0.115, "requests_per_instance_hour": 219600.0, "per_million": 0.5237, "is_measured_on_aws": False,
}  # fmt: skip
VERIFIED = {**EVIDENCE, "release": "r1", "scaling": TIMELINE, "regression": REGRESSION, "cost": COST}


def test_gates_capacity_and_scaling_timeline_are_tables_and_sentences() -> None:
    text = summary(VERIFIED, [], "https://example.org/report")

    assert "## ❌ r1 in staging: failed" in text
    assert "| latency | 623.4 ms | 500 ms | ❌ failed | 623.4 ms is over 500 ms |" in text
    assert "61 requests/s on one ml.m5.large: at 72/s it was busy." in text
    assert "| alarm | 6.4 | 192 | model setting | CloudWatch |" in text
    assert "| back at the minimum | not seen | – |" in text
    assert "| p95 | 4.2 % | – | 9.5 % | 12 |" in text
    assert "Compared with r0 in production, both at 30 requests/s: passed" in text
    assert "| price per million predictions | 0.5237 USD |" in text
    assert "Not AWS's cost" in text, "a capacity of this machine is not passed off as AWS's"
    assert text.endswith("[The whole report](https://example.org/report)\n")


def test_what_was_not_compared_stands_below_the_gates() -> None:
    text = summary({**VERIFIED, "notes": ["UNCHECKED: <no> golden requests"]}, [])

    assert "\n\n**UNCHECKED: &lt;no> golden requests**\n\n" in text


def test_what_others_wrote_is_text() -> None:
    loud = {**VERIFIED, "gates": [dict(VERIFIED["gates"][1], reason="<b>a|b`c`")]}

    assert "&lt;b>a\\|b'c'" in summary(loud, [])


def test_the_plots_are_mermaid_with_one_point_a_second_or_fewer() -> None:
    many = result()
    many["seconds"] = [dict(many["seconds"][0], at=1_800_000_000 + n) for n in range(200)]
    for measured in (result(), many):
        charts = re.findall(
            r"```mermaid\nxychart-beta\n(.*?)```", summary(VERIFIED, [("staging", measured)]), re.S
        )

        assert len(charts) == 3, "the capacity, what was served, and its latency"
        for chart in charts:
            x, y = (re.search(rf"{axis}.*\[(.*)\]", chart) for axis in ("x-axis", "line"))
            assert x is not None
            assert y is not None
            assert len(x[1].split(",")) == len(y[1].split(",")) <= MOST_POINTS


def test_the_highest_latency_is_not_smoothed_away() -> None:
    assert "504" in summary(VERIFIED, [("staging", dict(result(), seconds=[
        {"at": 1, "requests": 2, "failures": 0, "p99_ms": 504.0}]))])  # fmt: skip


def test_it_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evidence.json").write_text(json.dumps(VERIFIED))
    (tmp_path / "load.json").write_text(json.dumps(result()))
    main(["--evidence", str(tmp_path / "evidence.json"), "--load", f"staging={tmp_path / 'load.json'}"])

    assert capsys.readouterr().out.startswith("## ❌ r1 in staging: failed")
    with pytest.raises(SystemExit, match=r"gone\.json"):
        main(["--evidence", str(tmp_path / "gone.json")])
