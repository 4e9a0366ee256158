"""Metrics of traffic and instances are published once, in the right period, without drift."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from local_aws.clock import Clock
from local_aws.cloudwatch import Alarms, MetricStore, install
from local_aws.cloudwatch.store import MetricKey
from local_aws.instances.instance import Stats
from local_aws.measurements import Measurements, MetricSource
from local_aws.router import InvocationOutcome
from local_aws.ticker import Ticker

SERVED = MetricSource("digits", "AllTraffic", "one")
PLAIN = {"EndpointName": "digits", "VariantName": "AllTraffic"}


class HandClock(Clock):
    """A clock that moves when told to; one real second is a minute of AWS's."""

    def __init__(self) -> None:
        super().__init__(scale=60.0)
        self.at = 1_800_000_000.0

    def now(self) -> float:
        return self.at


class World:
    """A store with a clock moved by hand, and measurements that publish into it."""

    def __init__(self, delay: float = 0.0) -> None:
        self.clock = HandClock()
        self.store = MetricStore(self.clock, lambda _: delay)
        self.measurements = Measurements(self.store)

    def invoke(self, source: MetricSource = SERVED, in_flight: int = 1) -> None:
        self.measurements.record(
            InvocationOutcome(
                endpoint=source.endpoint,
                variant=source.variant,
                config=source.config,
                instance_id="i-1",
                instances=2,
                model_status=200,
                model_seconds=0.001,
                total_seconds=0.002,
                in_flight=in_flight,
            )
        )

    def values(
        self, name: str, statistic: str, period: int = 60, namespace: str = "AWS/SageMaker", **more: str
    ) -> list[float | None]:
        """One value for each period since the beginning that has ended."""
        series = self.store.find(MetricKey.of(namespace, name, PLAIN | more))
        first = self.store.period_number(period, 1_800_000_000.0)
        last = self.store.period_number(period, self.clock.at)
        found = {} if series is None else series.buckets(period, first, last)
        return [found[n].statistic(statistic) if n in found else None for n in range(first, last)]


@pytest.fixture
def world() -> World:
    return World()


def test_silence_is_one_zero_in_each_period_without_a_request_and_none_in_the_others(world: World) -> None:
    """Whatever the number of instances, and whenever in the period the request came."""
    world.measurements.fill_silence({SERVED: 0})
    for minute in range(4):
        world.clock.at += 0.4
        if minute == 1:
            world.invoke()
        world.clock.at += 0.6
        world.measurements.fill_silence({SERVED: 0})

    assert world.values("Invocations", "Sum") == [0.0, 60.0, 0.0, 0.0]
    assert world.values("Invocations", "SampleCount") == [1.0, 1.0, 1.0, 1.0]
    assert world.values("InvocationsPerInstance", "Sum") == [0.0, 30.0, 0.0, 0.0]
    assert world.values("Invocations", "Sum", EndpointConfigName="one") == [0.0, 60.0, 0.0, 0.0]


def test_two_fleets_of_one_variant_do_not_fill_each_others_silence_twice(world: World) -> None:
    new = MetricSource("digits", "AllTraffic", "two")
    world.invoke()
    world.clock.at += 1

    world.measurements.fill_silence({SERVED: 0, new: 0})

    assert world.values("Invocations", "SampleCount") == [1.0]
    assert world.values("Invocations", "Sum", EndpointConfigName="two") == [0.0]


def test_errors_and_latencies_have_no_zeros_that_would_dilute_them(world: World) -> None:
    world.invoke()
    world.clock.at += 3

    world.measurements.fill_silence({SERVED: 0})

    for name in ("Invocation5XXErrors", "ModelLatency", "OverheadLatency"):
        assert world.values(name, "SampleCount") == [1.0, None, None]


def test_concurrency_is_published_every_ten_seconds(world: World) -> None:
    world.invoke(in_flight=4)
    world.clock.at += 1

    world.measurements.fill_silence({SERVED: 0})

    assert world.values("ConcurrentRequestsPerModel", "Maximum", 10) == [4.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_a_request_that_lasts_is_concurrent_in_the_periods_between(world: World) -> None:
    """Three wait on the busiest instance all the while, a fourth came only now."""
    world.measurements.fill_silence({SERVED: 3})
    world.clock.at += 0.5

    world.measurements.fill_silence({SERVED: 4})

    assert world.values("ConcurrentRequestsPerModel", "Maximum", 10) == [3.0, 3.0, 3.0]


def test_a_machine_that_slept_does_not_make_up_for_all_of_it(world: World) -> None:
    world.clock.at += 8 * 3600

    world.measurements.fill_silence({SERVED: 0})

    zeros = [value for value in world.values("Invocations", "Sum") if value is not None]
    assert zeros == [0.0] * 60


def test_a_period_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="LOCAL_AWS_METRICS_SECONDS"):
        Measurements(MetricStore(HandClock()), metrics_seconds=7)


@dataclass
class SlowInstance:
    """Answers for its utilisation when it is let go."""

    id: str
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def stats(self) -> Stats:
        await self.may_answer.wait()
        return Stats(50.0, 10.0, 30.0)


def endpoint(instances: list[SlowInstance]) -> Any:
    """As much of an endpoint as the ticker looks at."""
    members = [SimpleNamespace(upstream=SimpleNamespace(in_flight=0), instance=one) for one in instances]
    deployed = SimpleNamespace(fleet=SimpleNamespace(members=members))
    side = SimpleNamespace(variants={"AllTraffic": deployed}, config=SimpleNamespace(name="one", metrics={}))
    return SimpleNamespace(name="digits", sides=[side], pending=None, step=None)


@pytest.fixture
def alarms(world: World) -> Alarms:
    install(lambda _: world.store)
    return Alarms()


async def tick_by_tick(world: World, ticker: Ticker, minutes: int, let_go: list[SlowInstance]) -> None:
    """Let the ticker tick four times an AWS minute; the instances answer only at the end."""
    async with asyncio.TaskGroup() as asking:
        for _ in range(minutes * 4):
            world.clock.at += 0.25
            ticker.publish(asking)
            await asyncio.sleep(0)
        for one in let_go:
            one.may_answer.set()


def test_utilisation_has_one_sample_of_each_instance_a_period_however_slowly_they_answer(
    world: World,
) -> None:
    instances = [SlowInstance("i-1"), SlowInstance("i-2")]
    ticker = Ticker((), lambda: [endpoint(instances)], world.measurements, world.clock, 60.0)

    asyncio.run(tick_by_tick(world, ticker, 4, instances))

    counts = world.values("CPUUtilization", "SampleCount", namespace="/aws/sagemaker/Endpoints")
    assert counts == [None, 2.0, 2.0, 2.0], "asked for at the beginning of each period, and counted there"
    for name, percent in (("CPU", 50.0), ("Memory", 10.0), ("Disk", 30.0)):
        averages = world.values(f"{name}Utilization", "Average", namespace="/aws/sagemaker/Endpoints")
        assert averages == [None, percent, percent, percent]


def test_an_alarm_knows_the_silence_of_the_period_that_it_judges(world: World, alarms: Alarms) -> None:
    """AlarmLow of an idle variant has a zero for every period, the newest included."""
    dimensions = [{"Name": name, "Value": value} for name, value in PLAIN.items()]
    alarms.put(
        {
            "AlarmName": "idle",
            "Namespace": "AWS/SageMaker",
            "MetricName": "InvocationsPerInstance",
            "Dimensions": dimensions,
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "LessThanThreshold",
        }
    )
    ticker = Ticker(
        (alarms.tick,), lambda: [endpoint([SlowInstance("i-1")])], world.measurements, world.clock, 60
    )
    world.clock.at += 1.0

    async def one_tick() -> None:
        running = asyncio.create_task(ticker.run())
        await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(one_tick())

    assert alarms.state("idle") == "ALARM"


def test_an_alarm_on_late_metrics_judges_what_has_been_delivered(alarms: Alarms) -> None:
    """With 150 s of delay the alarm fires in the first period that begins after the delivery."""
    world = World(delay=150.0)
    install(lambda _: world.store)
    alarms.put(
        {
            "AlarmName": "slow",
            "Namespace": "AWS/SageMaker",
            "MetricName": "ModelLatency",
            "Dimensions": [{"Name": name, "Value": value} for name, value in PLAIN.items()],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
        }
    )
    world.invoke()
    states = []
    for _ in range(6):
        world.clock.at += 1
        alarms.tick()
        states.append(alarms.state("slow"))

    assert states == ["INSUFFICIENT_DATA"] * 3 + ["ALARM"] * 3


def test_concurrency_is_published_at_high_resolution_and_all_other_traffic_by_the_minute(
    world: World,
) -> None:
    world.invoke()
    high = {
        series.key.name
        for series in world.store.all_series()
        if series.is_high_resolution and series.key.namespace == "AWS/SageMaker"
    }

    assert high == {"ConcurrentRequestsPerModel"}
