"""The peers of `make bench-serving`: the model they serve, their environments, start and end."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from benchmarks.comparison import environments, measuring, running, workloads
from benchmarks.comparison.running import Launch, NotServing
from benchmarks.comparison.servers import Server, all_servers
from benchmarks.comparison.workspace import PROGRAMS, Workspace

T32 = workloads.digits("T32", 32, (8,))
needs_load = pytest.mark.skipif(
    shutil.which("wrk") is None or shutil.which("nginx") is None, reason="wrk or nginx is not on PATH"
)


@pytest.fixture
def peers_workload(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Load programs/workload.py as a peer does."""
    for name, value in T32.environ().items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(PROGRAMS / "workload.py"))


def test_peers_serve_the_same_network(peers_workload: dict[str, object]) -> None:
    served = peers_workload["load"]()  # type: ignore[operator]

    output = served.predict(served.decode(json.loads(T32.body)))

    assert np.abs(output.numpy() - T32.expected).max() < 1e-4
    assert T32.problem(json.dumps(served.encode(output)).encode()) is None


def test_requests_of_different_size_are_predicted_together_and_cut_apart(
    peers_workload: dict[str, object],
) -> None:
    served = peers_workload["load"]()  # type: ignore[operator]
    batches = [torch.rand(3, 64) * 16, torch.rand(1, 64) * 16]

    together = peers_workload["predict_together"](served, batches)  # type: ignore[operator]

    assert [len(output) for output in together] == [3, 1]
    assert torch.allclose(together[1], served.predict(batches[1]), atol=1e-6)


@pytest.mark.parametrize("server", all_servers().values(), ids=lambda server: server.name)
def test_every_server_is_started_with_its_workers_and_without_steering_from_outside(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_WORKERS", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr("benchmarks.comparison.java_servers._run", lambda *_: None)
    workspace = Workspace(tmp_path, 20_000, T32, tmp_path / "body", Path(sys.executable))

    launch = server.launch(workspace)

    assert "7" not in launch.environ.values()
    threads = None if server.kind == "ours" or server.name == "flask-default-threads" else "1"
    assert launch.environ.get("OMP_NUM_THREADS") == threads
    assert (launch.backend is None) == (server.kind == "ours")


@needs_load
@pytest.mark.starts_processes
def test_a_server_is_checked_measured_and_ended(tmp_path: Path) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}

    found = measuring.measure_server(all_servers()["ours-torch"], T32, 1)

    assert [run.concurrency for run in found.measurements] == [8]
    assert found.measurements[0].requests_per_second > 0
    assert found.measurements[0].errors == 0
    assert found.cold_start_seconds is not None
    assert found.pss_mb is not None
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


@needs_load
@pytest.mark.starts_processes
def test_a_server_with_wrong_answers_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "START_SECONDS", 1)
    alone = all_servers()["nginx"].launch(Workspace(tmp_path, 1, T32, tmp_path / "b", Path(sys.executable)))
    port = running.free_port()

    with running.started(alone, port, tmp_path) as started, pytest.raises(NotServing, match="not an answer"):
        running.wait_for_correct_answer(started, T32, "fp32")


@pytest.mark.starts_processes
def test_a_server_that_ends_is_reported_with_its_output(tmp_path: Path) -> None:
    broken = Launch([sys.executable, "-c", "raise SystemExit('no model here')"], {})

    with (
        running.started(broken, 20_001, tmp_path) as started,
        pytest.raises(NotServing, match="no model here"),
    ):
        running.wait_for_correct_answer(started, T32, "fp32")


def test_an_environment_is_made_anew_when_what_it_needs_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "_run", commands.append)
    (tmp_path / "sagemaker-pytorch-release" / "peers" / "flask").mkdir(parents=True)

    first = environments.python_for("flask")
    again = environments.python_for("flask")
    (first.parents[1] / "ready").write_text("of other requirements")
    environments.python_for("flask")

    assert first == again
    assert len(commands) == 2 * 4  # venv, torch, packages, the check that torch is for the CPU


@pytest.mark.starts_processes
def test_pips_reason_is_passed_on() -> None:
    script = "import sys; sys.exit('ERROR: No matching distribution found for x')"

    with pytest.raises(environments.CannotInstall, match="No matching distribution found for x"):
        environments._run([sys.executable, "-c", script])
