"""The judging of a bake: when it looks, at whom, how fast it asks, and what follows from the verdict."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.aws import Answer
from pipeline.config import Environment
from pipeline.config.strategy import Deployment
from pipeline.deployment.bake_judge import BakeJudge
from pipeline.deployment.bake_schedule import candidate_share, comparison_seconds, elapsed_before
from pipeline.deployment.fleet_counts import FleetCounts, increase
from pipeline.deployment.judge.judge import LOOKS, FleetVerdict
from pipeline.deployment.judge.sequential_test import Block
from pipeline.deployment.probe_rate import BUSY_PART
from pipeline.deployment.prober import IN_FLIGHT, Probe, Prober
from pipeline.errors import AwsRefused, SmokeFailed
from tests.pipeline.clocks import AtOnce, FakeClock

MakeEnv = Callable[..., Environment]
RATE = 20.0


def described(status: str | None, percent: float = 0.0, began: float = 0.0) -> dict[str, Any]:
    """Describe an endpoint of two instances; `status`: of the coming fleet, None: nothing is coming."""
    live = {"ProductionVariants": [{"CurrentInstanceCount": 2}]}
    if status is None:
        return live
    variant = {
        "VariantStatus": [{"Status": status}],
        "CurrentWeight": percent / 100,
        "DesiredWeight": 1.0,
    }
    start = datetime.fromtimestamp(began, UTC)
    return live | {"PendingDeploymentSummary": {"ProductionVariants": [variant], "StartTime": start}}


LAUNCHING, BAKING, FULL = described("Creating"), described("Baking", 50), described("Baking", 100)


@dataclass
class Scene:
    """A bake of two fleets whose latencies are given, in seconds."""

    judge: BakeJudge
    clock: FakeClock
    new: float = 0.01
    old: float = 0.01
    sent: int = 0
    failed: int = 0
    names: tuple[str, str] = ("new", "old")
    looked: list[dict[str, Any]] = field(default_factory=list)

    def run(self, description: dict[str, Any], seconds: float, *, is_shared: bool = True) -> None:
        """Let so many seconds pass; every half second the judge sees a description and the answers since."""
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            probes = [self.probe(is_shared) for _ in range(int(RATE / 2))]
            self.clock.sleep(0.5)
            self.judge.see(description, probes)

    def probe(self, is_shared: bool) -> Probe:
        self.sent += 1
        is_new = is_shared and self.sent % 2 == 0
        latency = (self.new if is_new else self.old) * (1 + self.sent % 7 / 10)
        release = self.names[0] if is_new else self.names[1]
        return Probe(
            self.sent, self.clock.monotonic(), latency, Answer(release, f"{is_new}{self.sent % 4}", b"")
        )

    def count(self, *_: float) -> Block:
        """Return everybody's requests: as many as were asked, half of them to each fleet."""
        return Block(self.sent // 2, self.sent, self.failed, self.failed)


@pytest.fixture
def scene(make_env: MakeEnv) -> Callable[..., Scene]:
    """Make a scene, by settings of the deployment."""

    def make(
        *, is_resumed: bool = False, names: tuple[str, str] = ("new", "old"), **deployment: Any
    ) -> Scene:
        settings = {"bake_seconds": 300, **deployment}
        clock = FakeClock()
        judge = BakeJudge(
            deployment=make_env(deployment=settings).deployment,
            margin_percent=25.0,
            candidate=names[0],
            baseline=names[1],
            count=lambda *_: Block(0, 0, 0, 0),
            clock=clock,
            is_resumed=is_resumed,
        )
        made = Scene(judge, clock, names=names)
        judge.count = made.count
        return made

    return make


MakeScene = Callable[..., Scene]


def test_fleets_that_are_alike_are_not_worse(scene: MakeScene) -> None:
    bake = scene()
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.run(BAKING, 300)
    found = bake.judge.require_not_vetoed("e")

    assert (found.verdict, found.taken) == (FleetVerdict.NOT_WORSE, "proceed")
    assert found.looks == LOOKS
    assert bake.judge.faults() == []


def test_a_slower_fleet_is_vetoed_while_it_bakes(scene: MakeScene) -> None:
    bake = scene()
    bake.new = 0.02
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.run(BAKING, 100)

    assert "worse than the old fleet: " in bake.judge.faults()[0]
    assert bake.judge.verdict().taken == "roll_back"


def test_a_fleet_whose_requests_fail_is_vetoed(scene: MakeScene) -> None:
    bake = scene()
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.failed = 40
    bake.run(BAKING, 100)

    assert "40 of 40 failed requests are the new fleet's" in bake.judge.faults()[0]


def test_one_failed_request_vetoes_nothing(scene: MakeScene) -> None:
    bake = scene()
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.failed = 1
    bake.run(BAKING, 300)

    assert bake.judge.faults() == []


@pytest.mark.parametrize(("way", "vetoes"), [("proceed", 0), ("roll_back", 1)])
def test_the_config_says_which_way_an_inconclusive_bake_goes(scene: MakeScene, way: str, vetoes: int) -> None:
    """Only the first seconds of the new instances are seen: too little."""
    bake = scene(bake_seconds=4, on_inconclusive=way)
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.run(BAKING, 4)
    found = bake.judge.verdict()

    assert (found.verdict, found.taken) == (FleetVerdict.INCONCLUSIVE, way)
    assert len(bake.judge.faults()) == vetoes
    if vetoes:
        with pytest.raises(SmokeFailed, match="new is live on e, but inconclusive, and deployment"):
            bake.judge.require_not_vetoed("e")


def test_an_inconclusive_bake_is_vetoed_only_when_it_is_over(scene: MakeScene) -> None:
    bake = scene(on_inconclusive="roll_back")
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.run(BAKING, 5)

    assert bake.judge.faults() == []


def test_the_smallest_slowdown_is_said_before_the_bake(
    scene: MakeScene, said: Callable[[], list[str]]
) -> None:
    bake = scene()
    bake.run(LAUNCHING, 10, is_shared=False)

    (line,) = said()
    assert line.startswith(
        "the bake compares both fleets: 20 golden requests a second for 240 s find a slowdown of "
    )
    assert bake.judge.foreseen_percent is not None
    assert "INCONCLUSIVE" not in line


def test_a_bake_that_is_too_short_is_said_to_be_inconclusive_beforehand(
    scene: MakeScene, said: Callable[[], list[str]]
) -> None:
    bake = scene(bake_seconds=2)
    bake.run(LAUNCHING, 10, is_shared=False)

    assert "INCONCLUSIVE unless it is worse: 2 margins are enough" in said()[0]


def test_a_launch_of_any_length_uses_up_nothing(scene: MakeScene) -> None:
    bake = scene()
    bake.new = 0.02
    bake.run(LAUNCHING, 1800, is_shared=False)
    assert bake.judge.judge.looks == 0
    bake.run(BAKING, 100)

    assert bake.judge.faults()


def test_the_comparison_ends_with_the_old_fleets_traffic(scene: MakeScene) -> None:
    bake = scene()
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.run(BAKING, 120)
    bake.run(FULL, 60)

    assert bake.judge.is_over
    assert bake.judge.judge.elapsed == 1.0


def test_a_resumed_run_spends_what_an_earlier_one_may_have_left(scene: MakeScene) -> None:
    early, late = scene(is_resumed=True), scene(is_resumed=True)
    early.run(LAUNCHING, 10, is_shared=False)
    early.run(BAKING, 10)
    late.clock.at = 120.0
    late.run(described("Baking", 50, began=0.0), 10)

    assert early.judge.judge.missed == 0.0
    assert late.judge.judge.missed == pytest.approx(0.5, abs=0.01)


def test_a_run_that_missed_the_bake_cannot_judge_it(scene: MakeScene) -> None:
    late = scene(is_resumed=True)
    late.clock.at = 1000.0
    late.run(described("Baking", 50, began=0.0), 60)

    assert late.judge.verdict().verdict is FleetVerdict.INCONCLUSIVE


def test_fleets_of_the_same_release_are_told_apart_by_their_instances(scene: MakeScene) -> None:
    """As when only a setting changes."""
    bake = scene(names=("same", "same"))
    bake.new = 0.02
    bake.run(LAUNCHING, 60, is_shared=False)
    bake.run(BAKING, 100)

    assert bake.judge.faults()


def test_golden_requests_keep_a_fifth_of_a_slow_fleet_busy(scene: MakeScene) -> None:
    """A model of 260 ms on two instances is not brought to its limit by the deployment itself."""
    bake = scene()
    bake.old = bake.new = 0.2
    bake.run(LAUNCHING, 10, is_shared=False)
    bake.run(BAKING, 10)

    assert bake.judge.per_second * 0.28 == pytest.approx(BUSY_PART * 2, rel=0.15)


def test_golden_requests_are_few_until_the_latency_is_known_and_while_nothing_is_compared(
    scene: MakeScene,
) -> None:
    bake = scene()
    rates = [bake.judge.per_second]
    bake.run(LAUNCHING, 4, is_shared=False)
    rates.append(bake.judge.per_second)
    bake.run(LAUNCHING, 60, is_shared=False)
    rates.append(bake.judge.per_second)
    bake.run(BAKING, 10)
    rates.append(bake.judge.per_second)
    bake.run(FULL, 1)
    rates.append(bake.judge.per_second)

    assert rates == [4.0, 20.0, 2.0, 20.0, 2.0]


@pytest.mark.parametrize(
    ("settings", "instances", "seconds"),
    [
        ({"strategy": "canary"}, 4, 240),
        ({"strategy": "linear", "linear_percent": 25}, 4, 840),
        ({"strategy": "rolling", "batch_percent": 50}, 4, 240),
        ({"strategy": "all_at_once"}, 4, 0),
        ({"strategy": "canary", "bake_seconds": 60}, 4, 30),
        ({"strategy": "linear", "linear_percent": 50}, 1, 0),
    ],
)
def test_the_comparison_leaves_time_for_the_veto(
    make_env: MakeEnv, settings: dict[str, Any], instances: int, seconds: float
) -> None:
    deployment: Deployment = make_env(deployment={"bake_seconds": 300, **settings}).deployment

    assert comparison_seconds(deployment, instances) == seconds


@pytest.mark.parametrize(
    ("description", "share"),
    [(described(None), None), (LAUNCHING, None), (BAKING, 0.5), (FULL, 1.0), (described("Updating", 25), 0.25),
     (described("Creating", 100), None), (described("Baking"), 0.0)],
)  # fmt: skip
def test_the_new_fleet_serves_once_its_traffic_is_activated(
    description: dict[str, Any], share: float | None
) -> None:
    assert candidate_share(description) == share


def test_without_a_beginning_everything_may_be_over() -> None:
    assert elapsed_before({}, 100.0, 240.0) == 1.0
    assert elapsed_before(BAKING, 60.0, 240.0) == 0.25


@dataclass
class Metrics:
    """CloudWatch with one value for each metric, statistic and config."""

    values: dict[tuple[str, str, str], float]
    asked: list[tuple[float, float]] = field(default_factory=list)

    def metric(self, name: tuple[str, str], watched: dict[str, str], stat: str, _: int, between: tuple[float, float], /) -> list[tuple[float, float]]:  # fmt: skip
        self.asked.append(between)
        value = self.values.get((name[1], stat, watched["EndpointConfigName"]))
        return [] if value is None else [(0.0, value / 2), (60.0, value / 2)]


def test_failures_are_counted_without_those_of_the_callers() -> None:
    """A request is one sample of the error metric, whatever it was: Invocations is no count of samples."""
    errors = "InvocationModelErrors"
    aws = Metrics({
        (errors, "SampleCount", "new"): 100, (errors, "Sum", "new"): 12, ("Invocation4XXErrors", "Sum", "new"): 4,
        (errors, "SampleCount", "old"): 300,
    })  # fmt: skip

    assert FleetCounts(aws, "e", "v", "new", "old").between(0.0, 120.0) == Block(100, 400, 8, 8)
    assert set(aws.asked) == {(0.0, 180.0)}


def test_a_look_counts_what_came_since_the_look_before() -> None:
    assert increase(Block(10, 30, 1, 3), Block(15, 50, 3, 6)) == Block(5, 20, 2, 3)
    assert increase(Block(10, 30, 1, 3), Block(9, 28, 0, 3)) == Block(0, 0, 0, 0)


def test_golden_requests_are_evenly_spaced_and_none_is_caught_up() -> None:
    clock, sent = FakeClock(), list[float]()

    def ask(_: int) -> Answer:
        sent.append(clock.monotonic())
        return Answer("new", "i", b"")

    with Prober(ask, clock, AtOnce(), per_second=4.0) as prober:
        prober.send_for(1.0)
        clock.sleep(10.0)
        prober.send_for(1.0)

    assert sent[:4] == [0.0, 0.25, 0.5, 0.75]
    assert sent[4:] == [11.0, 11.25, 11.5, 11.75]
    assert [each.number for each in prober.collect()] == list(range(8))


def test_a_failed_golden_request_is_a_result() -> None:
    refused = AwsRefused("invoke", code="ModelError", message="broken", fix="-")

    def ask(_: int) -> Answer:
        raise refused

    with Prober(ask, FakeClock(), AtOnce()) as prober:
        prober.send_for(0.1)

    assert [each.answer for each in prober.collect()] == [refused]


class Never(AtOnce):
    """Threads whose work never ends."""

    def submit(self, *_: Any, **__: Any) -> Any:
        return Future()


def test_golden_requests_without_an_answer_are_bounded() -> None:
    with Prober(lambda _: Answer("new", "i", b""), FakeClock(), Never(), per_second=100.0) as prober:
        prober.send_for(10.0)

    assert prober.sent == IN_FLIGHT
    assert prober.collect() == []
