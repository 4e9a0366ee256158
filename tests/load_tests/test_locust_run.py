"""Locust as the pipeline starts it, against a fake SageMaker in this process."""

import json
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_aws.testing import wait_until
from tests.load_tests.fake_sagemaker import ENDPOINT, SLOWER, FakeSageMaker

pytestmark = pytest.mark.starts_processes

ROOT = Path(__file__).parents[2]


@dataclass
class Run:
    """A Locust run in a folder of its own, and the files that it writes."""

    folder: Path
    golden: Path
    environment: dict[str, str]

    def start(
        self, phases: list[tuple[str, float, float]], *more: str, **schedule: Any
    ) -> subprocess.Popen[bytes]:
        named = [{"name": n, "seconds": s, "requests_per_second": r} for n, s, r in phases]
        (self.folder / "schedule").write_text(json.dumps({"phases": named, **schedule}))
        command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--headless"]
        command += ["--exit-code-on-error", "0", "--endpoint", ENDPOINT, "--payloads", str(self.golden)]
        command += ["--schedule", str(self.folder / "schedule"), "--result", str(self.folder / "result.json")]
        command += ["--json-file", str(self.folder / "locust.json"), "--check-every", "5", *more]
        with self.log.open("w") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    @property
    def log(self) -> Path:
        return self.folder / "locust.log"

    def finish(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.wait(timeout=60) == 0, self.log.read_text()
        result: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return result

    def locusts_own(self) -> tuple[int, int]:
        (path,) = self.folder.glob("locust.json*")
        entries = json.loads(path.read_text())
        return sum(e["num_requests"] for e in entries), sum(e["num_failures"] for e in entries)


@pytest.fixture
def run(tmp_path: Path, golden_file: Path, aws_environment: dict[str, str]) -> Run:
    return Run(tmp_path, golden_file, aws_environment)


def total(result: dict[str, Any], count: str) -> int:
    return sum(phase[count] for phase in result["phases"])


def test_the_offered_rates_are_met_and_every_request_is_in_the_result(
    run: Run, sagemaker: FakeSageMaker
) -> None:
    sagemaker.fail_every = 10
    result = run.finish(run.start([("slow", 1.5, 20), ("fast", 1.5, 60)]))

    slow, fast = result["phases"]
    assert slow["achieved_rps"] == pytest.approx(20, rel=0.15)
    assert fast["achieved_rps"] == pytest.approx(60, rel=0.15)
    assert total(result, "requests") == sagemaker.requests == run.locusts_own()[0]
    assert total(result, "failures") == sagemaker.failures == run.locusts_own()[1] > 0
    assert fast["errors"] == {"ModelError 500: the model broke": fast["failures"]}
    assert result["identities"]["abc"].keys() == {"i0", "i1"}
    assert sagemaker.authorizations == {"AWS4-HMAC-SHA256"}, "requests are signed"
    assert all(row["current"] == row["desired"] == 2 for row in result["fleet"])
    assert len(result["fleet"]) >= 2


def test_a_wrong_prediction_is_a_failure_though_its_status_is_200(run: Run, sagemaker: FakeSageMaker) -> None:
    sagemaker.wrong_label = True
    (phase,) = run.finish(run.start([("only", 1, 40)]))["phases"]

    assert sum(phase["errors"].values()) == phase["failures"]
    assert "WrongAnswerError: golden case 3: $.predictions[0].label is 4, not 3 ± 0.0001" in phase["errors"]
    assert phase["failures"] == pytest.approx(phase["requests"] / 5, abs=1)


def test_a_stall_is_not_forgiven_for_the_requests_that_were_due_while_it_lasted(
    run: Run, sagemaker: FakeSageMaker
) -> None:
    """40/s, and no answer for 0.8 s: 32 requests were due meanwhile, half of them waited more than 0.4 s.

    A user that waits for its answer before it asks again would have noticed one slow request.
    """
    sagemaker.stall_after, sagemaker.stall_seconds = 40, 0.8
    (phase,) = run.finish(run.start([("stalled", 3, 40)]))["phases"]

    assert phase["requests"] == sagemaker.requests == pytest.approx(120, abs=1)
    assert phase["p95_ms"] > 500
    assert phase["p50_ms"] < 300


def test_the_search_ends_early_when_the_endpoint_is_saturated(run: Run, sagemaker: FakeSageMaker) -> None:
    sagemaker.service_seconds, sagemaker.max_concurrency = 0.05, 1  # 20 requests a second, no more
    phases = [(f"{rate}", 1.5, float(rate)) for rate in (10, 50, 120)]
    result = run.finish(run.start(phases, stop_when_saturated=True, slo={"p99_ms": 300, "error_percent": 1}))

    assert [phase["name"] for phase in result["phases"]] == ["10", "50"]
    assert result["phases"][1]["p99_ms"] > 300


def test_two_processes_share_the_schedule_and_the_result_has_every_request(
    run: Run, sagemaker: FakeSageMaker
) -> None:
    sagemaker.fail_every = 10
    result = run.finish(run.start([("slow", 1, 20), ("fast", 1, 60)], "--processes", "2"))

    slow, fast = result["phases"]
    assert slow["requests"] == pytest.approx(20, abs=4)
    assert fast["requests"] == pytest.approx(60, abs=4)
    assert total(result, "requests") == sagemaker.requests
    assert total(result, "failures") == sagemaker.failures > 0
    assert sum(sum(answers.values()) for answers in result["identities"].values()) == (
        sagemaker.requests - sagemaker.failures
    )
    assert fast["generator_cpu_percent"] > 0
    assert not any("workers" in (phase["invalid"] or "") for phase in result["phases"])


def test_of_two_endpoints_each_gets_every_other_request_in_the_same_seconds(
    run: Run, sagemaker: FakeSageMaker
) -> None:
    result = run.finish(run.start([("both", 3, 60)], "--against", SLOWER))
    compared = result["compared"]

    assert compared["against"] == SLOWER
    sent = [(row["candidate"]["requests"], row["baseline"]["requests"]) for row in compared["slices"]]
    assert 0 <= sagemaker.requests - sum(map(sum, sent)) <= 2, "a second with one request compares nothing"
    assert all(abs(ours - theirs) <= 2 for ours, theirs in sent)
    assert all(row["candidate"]["p50_ms"] < row["baseline"]["p50_ms"] for row in compared["slices"][1:-1])
    assert total(result, "failures") == 0, "what another model answers is not held against its golden set"


def test_a_users_function_makes_what_is_sent(run: Run, sagemaker: FakeSageMaker) -> None:
    maker = run.folder / "maker.py"
    maker.write_text('def rows():\n    yield {"instances": [[3]]}\n')
    run.golden = Path(f"{maker}:rows")
    (phase,) = run.finish(run.start([("made", 1, 20)]))["phases"]

    assert phase["requests"] == sagemaker.requests > 0
    assert phase["failures"] == 0


def test_a_signal_goes_to_the_next_phase_and_another_ends_the_run_with_its_result(
    run: Run, sagemaker: FakeSageMaker
) -> None:
    process = run.start([("surge", 300, 40), ("calm", 300, 5)])
    wait_until(lambda: sagemaker.requests >= 20, "20 requests")
    process.send_signal(signal.SIGUSR1)
    wait_until(lambda: "\nphase surge: 40/s offered" in run.log.read_text(), "line about the surge")
    process.send_signal(signal.SIGTERM)
    result = run.finish(process)

    assert [phase["name"] for phase in result["phases"]] == ["surge", "calm"]
    assert total(result, "requests") == sagemaker.requests
    assert total(result, "failures") == 0, "a user that was stopped lost its request"


def test_without_an_endpoint_it_says_how_to_name_one(run: Run) -> None:
    command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--headless"]
    answer = subprocess.run(
        command, cwd=ROOT, env=run.environment | {"ENDPOINT": ""}, capture_output=True, text=True, timeout=30
    )

    assert answer.returncode != 0
    assert "Name the endpoint: --endpoint NAME" in answer.stderr


def test_the_web_page_listens_on_this_machine_only_and_loads_the_endpoint_typed_into_it(
    run: Run, sagemaker: FakeSageMaker
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--web-port", str(port)]
    with run.log.open("w") as log:
        process = subprocess.Popen(
            [*command, "--payloads", str(run.golden)],
            cwd=ROOT, env=run.environment | {"ENDPOINT": ""}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(
            lambda: f"http://127.0.0.1:{port}" in run.log.read_text() and accepts_connections(port),
            "web page",
        )
        form = urllib.parse.urlencode({"user_count": 3, "spawn_rate": 3, "endpoint": ENDPOINT}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/swarm", form, timeout=10) as answer:
            assert json.load(answer)["success"]
        wait_until(lambda: sagemaker.requests >= 3, "3 requests")
    finally:
        process.terminate()
        process.wait(timeout=20)

    assert sagemaker.failures == 0


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
