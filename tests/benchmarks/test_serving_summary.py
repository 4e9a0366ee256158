"""The figures of `make bench-serving`: medians, ranges, ratios, background load, and the published file."""

import json
from pathlib import Path

import pytest

from benchmarks import serving
from benchmarks.comparison import load, measuring, summary_file
from benchmarks.comparison.background_load import Snapshot, background_cpu_share, snapshot
from benchmarks.comparison.load import Measurement
from benchmarks.comparison.summary import (
    Comparison,
    LoadFigures,
    Range,
    Summary,
    compare,
    range_of,
    summarise,
)
from benchmarks.comparison.trials import OtherSettings, TrialLog
from tests.benchmarks.trials import T1, trial


def load_figures(median: float, p99: float = 2.0) -> LoadFigures:
    return LoadFigures(8, Range(median, median, median), None, Range(p99, p99, p99), 0)


def test_a_figure_is_the_median_of_the_repetitions_with_its_range() -> None:
    trials = [trial("flask", n, rate, p99=rate, errors=1) for n, rate in enumerate([10, 50, 20])]

    figures = summarise(TrialLog(8, trials=trials)).of("T1", "flask")

    assert figures is not None
    expected = LoadFigures(8, Range(80, 160, 400), Range(1, 1, 1), Range(10, 20, 50), 3)
    assert figures.at(8) == expected
    assert figures.at(32) is None
    assert figures.repetitions == 3


def test_a_range_leaves_out_what_was_not_measured() -> None:
    assert range_of([None, 3.0, 1.0]) == Range(1.0, 2.0, 3.0)
    assert range_of([None]) is None


def test_a_ratio_is_to_the_peer_that_answers_most() -> None:
    peers = [("a", load_figures(100, 1.0)), ("b", load_figures(400, 8.0)), ("c", None)]

    assert compare(load_figures(1000, 4.0), peers) == Comparison("b", 2.5, 0.5)


def test_there_is_no_ratio_without_both_sides() -> None:
    assert compare(None, [("a", load_figures(1))]) is None
    assert compare(load_figures(1), [("a", None), ("b", load_figures(0))]) is None


def test_refused_requests_are_not_counted_as_answered() -> None:
    line = {"requests": 100, "seconds": 2.0, "p50_ms": 1.0, "p99_ms": 3.0, "errors": 20}

    found = load.parse(f"Running 2s test\n\n{json.dumps(line)}\n", 8)

    assert found == Measurement(8, 40.0, 1.0, 3.0, 20)


def test_two_processes_together_are_as_fast_as_the_sum() -> None:
    assert measuring.sum_of_rates([("100", "2.0"), ("90", "3.0")]) == 80.0


def test_the_background_share_is_the_busy_time_less_our_own() -> None:
    before, after = Snapshot(100.0, 1000.0, 50.0), Snapshot(110.0, 1018.0, 63.0)

    assert background_cpu_share(before, after, cpus=2) == pytest.approx((18 - 13) / 20)
    assert background_cpu_share(before, Snapshot(110.0, 1010.0, 70.0), cpus=2) == 0.0
    assert background_cpu_share(before, before, cpus=2) == 0.0


def test_the_measured_server_is_not_background() -> None:
    before = snapshot([])
    sum(range(3_000_000))
    after = snapshot([])

    assert after.ours > before.ours
    assert after.busy >= before.busy


def test_a_summary_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    trials = [trial("flask", 0, 10), trial("flask", 1, 30), trial("litserve", 0, 7)]
    summary = summarise(TrialLog(8, {"processor": "2 × some"}, trials, {"T1 bentoml": "no such package"}))

    summary_file.save(summary, tmp_path / "r.json")

    assert summary_file.load(tmp_path / "r.json", 8) == summary
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]
    assert summary_file.load(tmp_path / "none.json", 8) == Summary(8)


def test_a_later_run_replaces_the_servers_that_it_measured_and_no_others() -> None:
    published = summarise(
        TrialLog(
            8, trials=[trial("flask", 0, 10), trial("fastapi", 0, 5)], missing={"T1 bentoml": "no package"}
        )
    )

    published.update(summarise(TrialLog(8, trials=[trial("flask", 0, 20), trial("bentoml", 0, 1)])))

    rates = {each.server: each.loads[0].requests_per_second.median for each in published.servers}
    assert rates == {"flask": 20, "fastapi": 5, "bentoml": 1}
    assert published.missing == {}


def test_a_summary_of_runs_of_another_duration_is_not_mixed_with_these() -> None:
    serving.require_seconds(Summary(4), 8)
    with pytest.raises(OtherSettings, match="set SECONDS=8"):
        serving.require_seconds(summarise(TrialLog(8, trials=[trial("flask", 0, 10)])), 2)


def test_the_committed_summary_has_medians_and_ranges_only() -> None:
    summary = summary_file.load(serving.SUMMARY, 8)

    assert summary.seconds == 8
    assert {each.workload for each in summary.servers} == {"T1", "T32", "M"}
    assert len(serving.SUMMARY.read_text().splitlines()) < 1000
    for figures in summary.servers:
        for each in figures.loads:
            assert list(each.requests_per_second) == sorted(each.requests_per_second)


def test_a_wrong_answer_is_no_answer() -> None:
    right = [{"label": 0, "probabilities": row} for row in T1.expected.tolist()]
    wrong = [{"label": 0, "probabilities": [0.1] * 10}]

    assert T1.problem(json.dumps({"predictions": right}).encode()) is None
    assert T1.problem(json.dumps(right).encode()) is None  # a bare list
    assert "differs by" in str(T1.problem(json.dumps({"predictions": wrong}).encode()))
    assert "of shape (1, 10), got" in str(T1.problem(json.dumps({"predictions": right * 2}).encode()))
    assert "not an answer" in str(T1.problem(b'{"error": "no"}'))
    assert "not an answer" in str(T1.problem(b"<html>"))
