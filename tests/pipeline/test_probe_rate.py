"""The rate of golden requests: as many as a fleet answers without a queue, whatever limits it."""

import random
from dataclasses import dataclass

import pytest

from pipeline.deployment.judge.latency import TimedAnswer
from pipeline.deployment.probe_rate import BUSY_PART, FIRST_PER_SECOND, ProbeRate

CONFIGURED = 20.0
SAVINGS_SECONDS = 0.01
LOOK_SECONDS = 0.5


@dataclass
class Instance:
    """One worker whose requests need `cpu` seconds. It earns `share` CPU seconds a second, and saves up SAVINGS.

    It may go into debt for the request that it works on, and waits until the debt is paid: so an idle one is quick.
    """

    cpu: float
    share: float = 1.0
    free_at: float = 0.0
    savings: float = SAVINGS_SECONDS

    def answer(self, at: float) -> float:
        """Return the latency of a request that comes at this time."""
        begin = max(at, self.free_at)
        self.savings = min(SAVINGS_SECONDS, self.savings + self.share * (begin - self.free_at))
        pause = max(-self.savings / self.share, 0.0)
        self.savings += self.share * (pause + self.cpu) - self.cpu
        self.free_at = begin + pause + self.cpu
        return self.free_at - at


def rates_of(
    instances: list[Instance], seconds: float, clients_per_second: float = 0.0, seed: int = 1
) -> tuple[ProbeRate, list[float]]:
    """Return the rate after so many seconds, and the latencies that golden requests saw."""
    rng, rate, latencies = random.Random(seed), ProbeRate(CONFIGURED, len(instances)), list[float]()
    waiting = list[tuple[float, TimedAnswer]]()  # with the time of the answer
    look, due, number = LOOK_SECONDS, 0.0, 0
    client = rng.expovariate(clients_per_second) if clients_per_second else seconds
    while look <= seconds:
        at = min(due, client, look)
        if at == look:
            came = [answer for end, answer in waiting if end <= at]
            waiting = [each for each in waiting if each[0] > at]
            latencies += [each.seconds for each in came]
            rate.note(came, at)
            look += LOOK_SECONDS
        elif at == client:
            rng.choice(instances).answer(at)
            client += rng.expovariate(clients_per_second)
        else:
            took = instances[number % len(instances)].answer(at)
            waiting.append((at + took, TimedAnswer(at, took, False, "old")))
            due, number = at + 1 / rate.per_second, number + 1
    return rate, latencies


def test_a_fleet_without_a_limit_is_asked_as_often_as_configured() -> None:
    rate, _ = rates_of([Instance(0.005) for _ in range(2)], 10.0)

    assert rate.per_second == CONFIGURED


@pytest.mark.parametrize("cpu", [0.006, 0.008, 0.012])
@pytest.mark.parametrize("seed", range(5))
def test_a_fleet_with_little_cpu_is_left_most_of_it(cpu: float, seed: int) -> None:
    """Two instances have 4 % of a CPU each; an idle one answers in 8 ms.

    A fifth of the fleet's time by that latency would be 50 requests a second; it can do 10.
    """
    fleet = [Instance(cpu, share=0.04) for _ in range(2)]
    rate, latencies = rates_of(fleet, 60.0, clients_per_second=1.0, seed=seed)
    can_do = len(fleet) * 0.04 / cpu

    assert rate.per_second < can_do / 2
    assert max(latencies) < 2.0
    assert max(latencies[len(latencies) // 2 :]) < 0.5


def test_a_model_of_a_second_is_asked_by_its_latency() -> None:
    rate, _ = rates_of([Instance(1.0) for _ in range(2)], 60.0)

    assert 0 < rate.per_second < 2 * BUSY_PART + 0.01


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_latencies_that_vary_are_no_queue(sigma: float) -> None:
    """Over a long deployment: the chance of an error must not grow with the number of looks."""
    reached = 0
    for seed in range(100):
        rng, rate = random.Random(seed), ProbeRate(CONFIGURED, 8)
        for now in range(600):
            latencies = [0.05 * rng.lognormvariate(0.0, sigma) for _ in range(round(rate.per_second))]
            rate.note([TimedAnswer(float(now), each, False, "old") for each in latencies], float(now))
        reached += rate.ceiling == CONFIGURED

    assert reached >= 90


def test_the_rate_is_never_above_what_is_configured() -> None:
    assert ProbeRate(1.0).per_second == 1.0
    assert ProbeRate(CONFIGURED).per_second == FIRST_PER_SECOND
