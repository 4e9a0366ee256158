"""The plan of `make bench-serving`: the order of the trials, selected servers, resuming, and repeating after changes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import serving
from benchmarks.comparison import plan, trials
from benchmarks.comparison.measuring import ServerMeasurement
from benchmarks.comparison.plan import PlannedTrial, fingerprint, plan_trials, select_servers
from benchmarks.comparison.running import NotServing
from benchmarks.comparison.trials import OtherSettings, TrialLog
from tests.benchmarks.trials import SERVERS, T1, trial


def test_every_server_takes_its_turn_in_every_repetition_in_another_order() -> None:
    servers = [SERVERS[name] for name in ("flask", "fastapi", "litserve")]

    planned = list(plan_trials([T1], servers, repeats=2))

    assert [(each.repetition, each.server.name) for each in planned] == [
        (0, "flask"), (0, "fastapi"), (0, "litserve"),
        (1, "fastapi"), (1, "litserve"), (1, "flask"),
    ]  # fmt: skip


def test_servers_are_selected_by_name_and_pattern() -> None:
    assert [server.name for server in select_servers("torchserve*, flask", SERVERS)] == [
        "flask", "torchserve", "torchserve-batched",
    ]  # fmt: skip
    assert [server.name for server in select_servers("", SERVERS)] == list(SERVERS)
    with pytest.raises(ValueError, match="there is no flusk"):
        select_servers("flusk", SERVERS)


def test_a_whole_run_is_within_75_minutes() -> None:
    """Eight seconds a run, five repetitions; some seconds to start, warm up and end each server."""
    t32 = replace(T1, name="T32", concurrencies=(8, 32))
    encoder = replace(T1, name="M", concurrencies=(8, 32))

    planned = list(plan_trials([T1, t32, encoder], select_servers("", SERVERS), 5))

    seconds = [
        8 * len(each.workload.concurrencies) + 6 for each in planned if each.server.name != "in-process"
    ]
    assert 45 < sum(seconds) / 60 < 65  # the rest is for servers that are slow to start
    assert {each.workload.name for each in planned if each.server.name == "ours-auto-bf16"} == {"M"}
    assert max(each.repetition for each in planned if each.server.name == "nginx") == 1


def test_a_server_that_is_named_takes_part_everywhere() -> None:
    named = select_servers("nginx", SERVERS)

    assert len(list(plan_trials([T1, replace(T1, name="M")], named, 5))) == 10


def test_a_trial_is_made_once_and_again_when_the_code_has_changed() -> None:
    log = TrialLog(8)
    log.add(trial("flask", 0, 10))

    assert log.has("T1", "flask", 0, "m")
    assert not log.has("T1", "flask", 1, "m")
    assert not log.has("T1", "flask", 0, "other")


def test_a_disturbed_trial_is_made_again_where_quiet_is_required() -> None:
    log = TrialLog(8)
    log.add(trial("flask", 0, 10))  # other programs used half of the machine

    assert log.has("T1", "flask", 0, "m", max_background=0.5)
    assert not log.has("T1", "flask", 0, "m", max_background=0.4)


def test_figures_of_two_versions_of_the_code_are_never_mixed() -> None:
    log = TrialLog(8, missing={"T1 flask": "did not start"})
    for repetition in (0, 1):
        log.add(trial("flask", repetition, 10))
        log.add(trial("fastapi", repetition, 5))
    log.add(trial("flask", 0, 20, code="new"))

    assert [each.fingerprint for each in log.of("T1", "flask")] == ["new"]
    assert len(log.of("T1", "fastapi")) == 2
    assert log.missing == {}


def test_trials_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    log = TrialLog(8, {"processor": "2 × some"}, [trial("flask", 0, 10)], {"T1 bentoml": "no such package"})

    trials.save(log, tmp_path / "t.json")

    assert trials.load(tmp_path / "t.json", 8) == log
    assert [file.name for file in tmp_path.iterdir()] == ["t.json"]


def test_trials_of_another_duration_are_refused(tmp_path: Path) -> None:
    trials.save(TrialLog(8, trials=[trial("flask", 0, 10)]), tmp_path / "t.json")

    with pytest.raises(OtherSettings, match="set SECONDS=8"):
        trials.load(tmp_path / "t.json", 2)


@pytest.mark.starts_processes
def test_a_run_continues_where_one_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def measure_server(server: object, _workload: object, _seconds: int) -> ServerMeasurement:
        started.append(getattr(server, "name", ""))
        if started[-1] == "litserve":
            raise NotServing("ended with 3")
        return trial("any", 0, 10).measured

    def planned(repeats: int) -> Iterator[PlannedTrial]:
        return plan_trials([T1], [SERVERS[name] for name in ("flask", "litserve")], repeats)

    monkeypatch.setattr(serving, "measure_server", measure_server)
    path = tmp_path / "t.json"
    serving.run_trials(TrialLog(8), planned(1), path, until=float("inf"))
    log = trials.load(path, 8)
    serving.run_trials(log, planned(2), path, until=float("inf"))
    serving.run_trials(log, planned(3), path, until=0)

    assert started == ["flask", "litserve", "litserve", "flask"]
    assert log.missing == {"T1 litserve": "ended with 3"}
    assert len(log.of("T1", "flask")) == 2


def test_a_server_of_ours_is_measured_again_when_its_code_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "OURS", tmp_path)
    (tmp_path / "serve").write_text("1")
    before = fingerprint(SERVERS["ours-torch"]), fingerprint(SERVERS["flask"])
    (tmp_path / ".mypy_cache").mkdir()
    (tmp_path / ".mypy_cache" / "left.json").write_text("by a linter")
    assert fingerprint(SERVERS["ours-torch"]) == before[0]
    (tmp_path / "serve").write_text("2")

    assert fingerprint(SERVERS["ours-torch"]) != before[0]
    assert fingerprint(SERVERS["flask"]) == before[1]
    assert fingerprint(SERVERS["flask"]) != fingerprint(SERVERS["litserve"])
