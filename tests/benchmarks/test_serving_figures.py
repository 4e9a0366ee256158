"""The arithmetic of `make bench-serving`: medians, ratios, turns, what is measured again, the table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import serving
from benchmarks.comparison import load, measuring, results, table, workloads
from benchmarks.comparison.disturbance import Snapshot, others, snapshot
from benchmarks.comparison.figures import Comparison, Figure, compare, figure, median_of
from benchmarks.comparison.load import Measurement
from benchmarks.comparison.measuring import Found
from benchmarks.comparison.results import OtherSettings, Results, Visit
from benchmarks.comparison.servers import all_servers

SERVERS = all_servers()
T1 = workloads.digits("T1", 1, (1, 8))


def visited(
    server: str, repetition: int, rate: float, *, mark: str = "m", p99: float = 2.0, errors: int = 0
) -> Visit:
    runs = tuple(Measurement(each, rate * each, 1.0, p99, errors) for each in (1, 8))
    return Visit(
        "T1", server, repetition, mark, "2026-01-01 10:00 UTC", Found(runs, 1.5, 100.0, 0.5), "abc1234"
    )


def cell(median: float, p99: float | None = 2.0) -> Figure:
    return Figure(median, median, median, 1, p99, 0)


def test_a_cell_is_the_median_of_the_repetitions_with_its_spread() -> None:
    visits = [visited("flask", n, rate, p99=rate, errors=1) for n, rate in enumerate([10, 50, 20])]

    assert figure(visits, 8) == Figure(160, 80, 400, 3, 20, 3)
    assert figure(visits, 32) is None


def test_a_median_leaves_out_what_was_not_measured() -> None:
    assert median_of([None, 3.0, 1.0]) == 2.0
    assert median_of([None]) is None


def test_a_ratio_is_to_the_peer_that_answers_most() -> None:
    peers = [("a", cell(100, 1.0)), ("b", cell(400, 8.0)), ("c", None)]

    assert compare(cell(1000, 4.0), peers) == Comparison("b", 2.5, 0.5)


def test_there_is_no_ratio_without_both_sides() -> None:
    assert compare(None, [("a", cell(1))]) is None
    assert compare(cell(1), [("a", None), ("b", cell(0))]) is None


def test_refused_requests_are_not_counted_as_answered() -> None:
    line = {"requests": 100, "seconds": 2.0, "p50_ms": 1.0, "p99_ms": 3.0, "errors": 20}

    found = load.parse(f"Running 2s test\n\n{json.dumps(line)}\n", 8)

    assert found == Measurement(8, 40.0, 1.0, 3.0, 20)


def test_two_processes_together_are_as_fast_as_the_sum() -> None:
    assert measuring.together([("100", "2.0"), ("90", "3.0")]) == 80.0


def test_every_server_takes_its_turn_in_every_repetition_in_another_order() -> None:
    servers = [SERVERS[name] for name in ("flask", "fastapi", "litserve")]

    made = list(serving.turns([T1], servers, repeats=2))

    names = [(turn.repetition, turn.server.name) for turn in made]
    assert names == [
        (0, "flask"), (0, "fastapi"), (0, "litserve"),
        (1, "fastapi"), (1, "litserve"), (1, "flask"),
    ]  # fmt: skip


def test_servers_are_chosen_by_name_and_pattern() -> None:
    assert [server.name for server in serving.chosen("torchserve*, flask", SERVERS)] == [
        "flask", "torchserve", "torchserve-batched",
    ]  # fmt: skip
    assert [server.name for server in serving.chosen("", SERVERS)] == list(SERVERS)
    with pytest.raises(ValueError, match="there is no flusk"):
        serving.chosen("flusk", SERVERS)


def test_a_whole_run_is_within_75_minutes() -> None:
    """Eight seconds a run, five repetitions; some seconds to start, warm up and end each server."""
    t32, encoder = (
        replace(T1, name="T32", concurrencies=(8, 32)),
        replace(T1, name="M", concurrencies=(8, 32)),
    )

    plan = list(serving.turns([T1, t32, encoder], serving.chosen("", SERVERS), 5))

    seconds = [8 * len(turn.workload.concurrencies) + 6 for turn in plan if turn.server.name != "in-process"]
    assert 45 < sum(seconds) / 60 < 65  # the rest is for servers that are slow to start
    assert {turn.workload.name for turn in plan if turn.server.name == "ours-auto-bf16"} == {"M"}
    assert max(turn.repetition for turn in plan if turn.server.name == "nginx") == 1


def test_a_server_that_is_named_takes_part_everywhere() -> None:
    named = serving.chosen("nginx", SERVERS)

    plan = list(serving.turns([T1, replace(T1, name="M")], named, 5))

    assert len(plan) == 10


def test_a_visit_is_made_once_and_again_when_the_code_has_changed() -> None:
    kept = Results(8)
    kept.add(visited("flask", 0, 10))

    assert kept.has("T1", "flask", 0, "m")
    assert not kept.has("T1", "flask", 1, "m")
    assert not kept.has("T1", "flask", 0, "other")


def test_a_disturbed_visit_is_made_again_where_quiet_is_asked_for() -> None:
    kept = Results(8)
    kept.add(visited("flask", 0, 10))  # others took half of the machine

    assert kept.has("T1", "flask", 0, "m", quiet=0.5)
    assert not kept.has("T1", "flask", 0, "m", quiet=0.4)


def test_what_others_took_is_what_was_busy_less_our_own() -> None:
    before, after = Snapshot(100.0, 1000.0, 50.0), Snapshot(110.0, 1018.0, 63.0)

    assert others(before, after, cpus=2) == pytest.approx((18 - 13) / 20)
    assert others(before, Snapshot(110.0, 1010.0, 70.0), cpus=2) == 0.0
    assert others(before, before, cpus=2) == 0.0


def test_a_server_that_works_is_not_another() -> None:
    before = snapshot([])
    sum(range(3_000_000))
    after = snapshot([])

    assert after.ours > before.ours
    assert after.busy >= before.busy


def test_figures_of_two_versions_of_the_code_are_never_mixed() -> None:
    kept = Results(8, missing={"T1 flask": "did not start"})
    for repetition in (0, 1):
        kept.add(visited("flask", repetition, 10))
        kept.add(visited("fastapi", repetition, 5))
    kept.add(visited("flask", 0, 20, mark="new"))

    assert [visit.fingerprint for visit in kept.of("T1", "flask")] == ["new"]
    assert len(kept.of("T1", "fastapi")) == 2
    assert kept.missing == {}


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    kept = Results(8, {"processor": "2 × some"}, [visited("flask", 0, 10)], {"T1 bentoml": "no such package"})

    results.save(kept, tmp_path / "r.json")

    assert results.load(tmp_path / "r.json", 8) == kept
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


def test_runs_of_another_length_are_refused(tmp_path: Path) -> None:
    results.save(Results(8, visits=[visited("flask", 0, 10)]), tmp_path / "r.json")

    with pytest.raises(OtherSettings, match="set SECONDS=8"):
        results.load(tmp_path / "r.json", 2)


@pytest.mark.starts_processes
def test_a_run_goes_on_where_one_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def visit(server: object, _workload: object, _seconds: int) -> Found:
        asked.append(getattr(server, "name", ""))
        if asked[-1] == "litserve":
            raise measuring.running.NotServing("ended with 3")
        return visited("any", 0, 10).found

    monkeypatch.setattr(serving, "visit", visit)
    servers = [SERVERS[name] for name in ("flask", "litserve")]
    path = tmp_path / "r.json"

    serving.measure(Results(8), serving.turns([T1], servers, 1), path, 8, until=float("inf"))
    kept = results.load(path, 8)
    serving.measure(kept, serving.turns([T1], servers, 2), path, 8, until=float("inf"))
    serving.measure(kept, serving.turns([T1], servers, 3), path, 8, until=0)

    assert asked == ["flask", "litserve", "litserve", "flask"]
    assert kept.missing == {"T1 litserve": "ended with 3"}
    assert len(kept.of("T1", "flask")) == 2


def test_a_server_of_ours_is_measured_again_when_its_code_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "OURS", tmp_path)
    (tmp_path / "serve").write_text("1")
    before = serving.fingerprint(SERVERS["ours-torch"]), serving.fingerprint(SERVERS["flask"])
    (tmp_path / ".mypy_cache").mkdir()
    (tmp_path / ".mypy_cache" / "left.json").write_text("by a lint")
    assert serving.fingerprint(SERVERS["ours-torch"]) == before[0]
    (tmp_path / "serve").write_text("2")

    assert serving.fingerprint(SERVERS["ours-torch"]) != before[0]
    assert serving.fingerprint(SERVERS["flask"]) == before[1]
    assert serving.fingerprint(SERVERS["flask"]) != serving.fingerprint(SERVERS["litserve"])


def test_the_table_names_rates_ratios_goals_and_what_is_missing() -> None:
    kept = Results(
        8,
        {"processor": "2 × some"},
        [
            *[visited("ours-torch", n, rate, p99=1.0) for n, rate in enumerate([300, 400])],
            visited("flask", 0, 100),
            visited("fastapi", 0, 70, errors=3),
        ],
        {"T1 bentoml": "no such package"},
    )

    text = table.page(kept, SERVERS, {"T1": T1})

    assert (
        "| **this project** | torch fp32 | 350 (300–400) | 2,800 (2,400–3,200) | 1.0 · 1.0 ms | 100 |" in text
    )
    assert "3.5× nginx + gunicorn + Flask, OMP_NUM_THREADS=1, wanted 1.5; p99 0.50" in text
    assert "70, 3 errors" in text
    assert "- T1 bentoml: no such package" in text
    assert "- T1, not run: ours-auto, flask-default-threads, torchserve," in text
    assert "at commit abc1234: runs of 8 s, 1 to 2 a server" in text
    assert "Other processes took 50% of the CPUs meanwhile in the median, 50% at most" in text


def test_a_row_of_engine_auto_says_which_it_took() -> None:
    took = replace(
        visited("ours-auto", 0, 100), found=replace(visited("x", 0, 100).found, engine="onnxruntime fp32")
    )

    text = table.page(Results(8, {}, [took]), SERVERS, {"T1": T1})

    assert "| **this project** | auto: onnxruntime fp32 | 100 |" in text
    assert measuring.taken(SERVERS["ours-auto"], T1).split()[0] in ("torch", "onnxruntime", "openvino")
    assert measuring.taken(SERVERS["ours-torch"], T1) == ""


def test_the_table_says_how_near_the_limit_and_how_large_beside_torchserve() -> None:
    def of(server: str, rate: float, *, at: int = 8, pss: float = 100.0) -> Visit:
        found = Found((Measurement(at, rate, None, None, 0),), None, pss, 0.5)
        return Visit("M", server, 0, "m", "2026-01-01 10:00 UTC", found)

    kept = Results(8, {}, [of("ours-torch", 38), of("in-process", 40, at=0), of("torchserve", 20, pss=400)])

    text = table.page(kept, SERVERS, {"M": replace(T1, name="M", concurrencies=(8, 32))})

    assert "- torch fp32: 0.25 of TorchServe's memory (wanted 0.5 or less)" in text
    assert "- torch fp32: 95% at 8 of what two processes predict without a server (wanted 95%)" in text


def test_the_table_goes_between_its_marks(tmp_path: Path) -> None:
    document = tmp_path / "p.md"
    document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")

    table.write("new", document)

    assert document.read_text() == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"
    document.write_text("no marks")
    with pytest.raises(ValueError, match="once each"):
        table.write("new", document)


def test_the_committed_page_has_a_place_for_the_table() -> None:
    page = serving.DOCUMENT.read_text()

    assert page.count(table.BEGIN) == page.count(table.END) == 1


def test_a_wrong_answer_is_no_answer() -> None:
    right = [{"label": 0, "probabilities": row} for row in T1.expected.tolist()]
    wrong = [{"label": 0, "probabilities": [0.1] * 10}]

    assert T1.problem(json.dumps({"predictions": right}).encode()) is None
    assert T1.problem(json.dumps(right).encode()) is None  # a list without an object round it
    assert "differs by" in str(T1.problem(json.dumps({"predictions": wrong}).encode()))
    assert "of shape (1, 10), got" in str(T1.problem(json.dumps({"predictions": right * 2}).encode()))
    assert "not an answer" in str(T1.problem(b'{"error": "no"}'))
    assert "not an answer" in str(T1.problem(b"<html>"))
