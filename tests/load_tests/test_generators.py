"""A master joins its workers' records; a missing report makes the phase invalid."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import gevent

from load_tests.generators import BEGIN, END, RECORDS, MasterGenerator, new_records
from load_tests.recorder import Recorder


@dataclass
class FakeRunner:
    """Locust's master with workers that answer immediately, except the silent ones."""

    workers: list[str]
    silent: frozenset[str] = frozenset()
    messages: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    listener: Callable[..., None] = lambda **_: None

    @property
    def clients(self) -> SimpleNamespace:
        running = [SimpleNamespace(id=name) for name in self.workers]
        return SimpleNamespace(ready=[], spawning=[], running=running)

    def register_message(self, kind: str, listener: Callable[..., None]) -> None:
        assert kind == RECORDS
        self.listener = listener

    def send_message(self, kind: str, data: dict[str, Any], name: str | None = None) -> None:
        self.messages.append((kind, data, name))
        if kind == END:
            for number, worker in enumerate(set(self.workers) - self.silent):
                sent = Recorder()
                sent.record(101.0 + number, 9.0, None)
                data = new_records(sent, 0, clock_offset=0.0) | {"cpu_percent": 30.0 + number}
                gevent.spawn(self.listener, msg=SimpleNamespace(data=data, node_id=worker))


def phase_led_by(runner: FakeRunner, *, lost: str = "") -> dict[str, Any]:
    recorder = Recorder()
    master = MasterGenerator(runner, recorder, finish_seconds=0.0)
    recorder.begin_phase("only", 10.0, now=100.0, cpu_seconds=0.0)
    master.begin(0)
    runner.workers = [name for name in runner.workers if name != lost]
    recorder.phases[-1].finished = 110.0
    master.end()
    return recorder.phase_result(recorder.phases[-1])


def test_each_worker_is_given_its_share_and_the_busiest_one_counts() -> None:
    runner = FakeRunner(["w1", "w2"])
    result = phase_led_by(runner)

    shares = [(name, data["index"], data["count"]) for kind, data, name in runner.messages if kind == BEGIN]
    assert shares == [("w1", 0, 2), ("w2", 1, 2)]
    assert result["requests"] == 2
    assert round(result["generator_cpu_percent"]) == 31
    assert result["invalid"] is None


def test_a_worker_that_was_lost_makes_the_phase_invalid() -> None:
    assert "1 of 2 workers did not report" in phase_led_by(FakeRunner(["w1", "w2"]), lost="w1")["invalid"]


def test_without_any_worker_left_nothing_is_waited_for() -> None:
    assert "1 of 1 workers did not report" in phase_led_by(FakeRunner(["w1"]), lost="w1")["invalid"]
