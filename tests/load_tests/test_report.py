"""The report is one file that shows measurements and verdicts, and loads nothing from anywhere."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from load_tests.plots import marks, timeline
from load_tests.recorder import Recorder
from load_tests.report import main

VOID = {"meta", "link", "br"}


def result(endpoint: str = "digits-staging", began: float = 1_800_000_000.0) -> dict[str, Any]:
    """Ten seconds of load; in the fifth second another config is live and one request fails."""
    recorder = Recorder()
    recorder.begin_phase("steady", 2.0, now=began, cpu_seconds=0.0)
    for half_second in range(20):
        recorder.record(
            began + half_second / 2, 12.5 + half_second, "<b>broken</b>" if half_second == 9 else None
        )
    recorder.end_phase(now=began + 10, cpu_seconds=1.0)
    for second in range(10):
        config = "old" if second < 5 else "new"
        row = {"at": began + second, "status": "InService", "config": config, "current": 2, "desired": 3}
        recorder.fleet.append(row)
    return recorder.result(endpoint)


def step(name: str, began: float, seconds: float, **found: Any) -> dict[str, Any]:
    ended = began + seconds
    return {"schema": 1, "step": name, "environment": "staging", "started": began, "finished": ended,
            "seconds": seconds, "calls": ["create <endpoint>"], "result": found}  # fmt: skip


EVIDENCE: dict[str, Any] = {
    "environment": "staging", "verdict": "failed",
    "gates": [
        {"name": "latency", "metric": "p99_ms", "limit": 500.0, "measured": 623.4, "unit": "ms",
         "verdict": "failed", "reason": "623.4 ms is over 500 ms"},
        {"name": "capacity", "metric": "requests_per_second", "limit": None, "measured": None, "unit": "/s",
         "verdict": "inconclusive", "reason": "not measured: <script>alert(1)</script>"},
    ],
    "scaling": {"policy": "hold <3000>", "time_scale": 30.0, "rows": [
        {"phase": "alarm", "at": 1.0, "seconds": 6.4, "aws_seconds": 192.0, "kind": "model setting", "source": "CloudWatch"},
        {"phase": "back", "at": None, "seconds": None, "aws_seconds": None, "kind": "measured here", "source": "x"},
    ]},
    "capacity": {
        "requests_per_second": 61.0, "instance_type": "ml.m5.large", "reason": "at 72/s it was busy",
        "slo": {"p99_ms": 500.0, "error_percent": 1.0},
        "steps": [{"offered_rps": rate, "p50_ms": 10.0, "p99_ms": rate * 7} for rate in (72.0, 20.0, 61.0)],
    },
}  # fmt: skip
RELEASE = {
    "id": "0123456789ab-01234567", "image": {"uri": "digits@sha256:1", "digest": "sha256:1", "stand_in": True},
    "weights": {"uri": "s3://b/w", "sha256": "2", "bytes": 117202}, "commit": None, "run_url": None,
    "created": "2027-01-15T08:00:00Z",
}  # fmt: skip


class Page(HTMLParser):
    """Reads a page: the text outside scripts, unclosed tags, and everything a browser would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.fetches: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.fetches += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open[-1:] == ["script"] else self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("report")
    began = 1_800_000_000.0
    files = {
        "one.json": result(), "two.json": result("digits-production", began + 60), "evidence.json": EVIDENCE,
        "deploy.json": step("deploy", began - 30, 20.0, in_service_at=began - 15), "release.json": RELEASE,
        "autoscale.json": step("autoscale", began - 9, 2.0, policy_in_force_at=began - 8),
    }  # fmt: skip
    for name, document in files.items():
        (folder / name).write_text(json.dumps(document))
    out = folder / "sub" / "report.html"
    loads = [f"staging={folder / 'one.json'}", f"production={folder / 'two.json'}"]
    steps = ["--steps", str(folder / "deploy.json"), "--steps", str(folder / "autoscale.json")]
    words = ["--title", "A <delivery>", "--out", str(out), "--load", *loads, *steps]
    main([*words, "--evidence", str(folder / "evidence.json"), "--release", str(folder / "release.json")])
    return Page(out.read_text())


def test_the_page_is_well_formed_and_fetches_nothing(page: Page) -> None:
    assert page.open == []
    assert [each for each in page.fetches if not each.startswith("data:")] == []


def test_every_gate_is_shown_with_limit_measurement_and_verdict(page: Page) -> None:
    assert "latency 623.4 ms 500 ms failed 623.4 ms is over 500 ms" in page.text
    assert "capacity – – inconclusive not measured: <script>alert(1)</script>" in page.text
    assert "staging failed" in page.text


def test_release_steps_and_load_tests_are_shown(page: Page) -> None:
    assert "0123456789ab-01234567" in page.text
    assert "stand-in" in page.text
    assert "deploy staging" in page.text
    assert "20.0 create <endpoint>" in page.text
    assert "all 22.0" in page.text
    assert "1 × <b>broken</b>" in page.text
    assert "61 requests/s on one ml.m5.large: at 72/s it was busy." in page.text


def test_the_scaling_timeline_shows_observed_and_unobserved_phases(page: Page) -> None:
    assert "alarm 6.4 192 model setting CloudWatch" in page.text
    assert "back not seen – measured here" in page.text


def test_the_traces_carry_the_measured_values(page: Page) -> None:
    drawn = "".join(page.scripts)

    assert drawn.count("Plotly.newPlot(") >= 2
    for value in ("12.5", "13.5", "504.0"):
        assert re.search(rf"[\[,]{value}[,\]]", drawn), f"{value} is not drawn"


def test_all_plots_over_time_share_one_axis_and_lines_mark_what_changed() -> None:
    began = 1_800_000_000.0
    steps = [step("deploy", began - 30, 20.0, in_service_at=began - 15)]
    figure = timeline([("staging", result())], steps)

    assert figure.layout.xaxis.matches == figure.layout.xaxis2.matches == figure.layout.xaxis3.matches == "x4"
    assert [text for _, text in marks([("staging", result())], steps)] == [
        "in service, staging",
        "new config, digits-staging",
    ]
    drawn = {trace.meta for trace in figure.data}
    assert drawn >= {"p50", "p95", "p99", "served", "offered", "current", "desired", "step"}


def test_old_and_new_fleet_are_areas_upon_each_other_while_one_replaces_the_other() -> None:
    replaced = result()
    counts = [("old", 2, None), ("old", 2, ("new", 1)), ("old", 0, ("new", 2)), ("new", 2, None)]
    replaced["fleet"] = [
        {"at": 100.0 + n, "status": "Updating", "config": config, "current": current, "desired": 2,
         "pending": pending and {"config": pending[0], "current": pending[1], "desired": 2}}
        for n, (config, current, pending) in enumerate(counts)
    ]  # fmt: skip
    figure = timeline([("staging", replaced)], [])
    areas = [trace for trace in figure.data if trace.meta == "current"]
    (desired,) = [trace for trace in figure.data if trace.meta == "desired"]

    assert [list(area.y) for area in areas] == [[2, 2, 0, 0], [0, 1, 2, 2]]
    assert {area.stackgroup for area in areas} == {"staging"}
    assert list(desired.y) == [2, 4, 4, 2]


def test_what_happened_in_an_earlier_run_is_not_marked_in_this_one() -> None:
    again = step("deploy", 1_800_000_000.0, 1.0, in_service_at=1_700_000_000.0)

    assert marks([], [again]) == []


def test_a_pause_interrupts_the_line_instead_of_drawing_through_it() -> None:
    interrupted = result()
    interrupted["seconds"] = [row for row in interrupted["seconds"] if not 3 <= row["at"] % 10 <= 7]
    (served,) = [trace for trace in timeline([("x", interrupted)], []).data if trace.meta == "served"]

    assert None in served.y


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.json"):
        main(["--title", "t", "--out", str(tmp_path / "r.html"), "--load", f"a={tmp_path / 'nowhere.json'}"])


def test_a_missing_result_that_the_evidence_has_from_an_earlier_run_is_a_note(tmp_path: Path) -> None:
    """A run that finds its release verified already measures nothing, and has no result to show."""
    kept, out = tmp_path / "evidence.json", tmp_path / "report.html"
    kept.write_text(
        json.dumps(EVIDENCE | {"finished": 1_800_000_000.0, "load": ["staging/load/scaling.json"]})
    )
    words = ["--title", "T", "--out", str(out), "--evidence", str(kept), "--load"]
    main([*words, f"scaling={tmp_path}/staging/load/scaling.json"])

    assert "scaling: measured by an earlier run, until 2027-01-15 08:00:00 UTC" in out.read_text()
    with pytest.raises(SystemExit, match=r"No such file or directory: .*spike\.json"):
        main([*words, f"spike={tmp_path}/staging/load/spike.json"])
