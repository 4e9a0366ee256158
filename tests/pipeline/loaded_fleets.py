"""Simulate two fleets under clients' load: a canary's instance has twice the load of the old ones beside it."""

import random
from dataclasses import dataclass

from pipeline.deployment.judge.judge import LOOKS, Judge
from pipeline.deployment.judge.latency import TimedAnswer
from pipeline.deployment.judge.sequential_test import Block

SERVICE_SECONDS = 0.02  # mean of an exponential distribution
ASKED = 0.1  # part of all requests that are the deployment's own


@dataclass
class Queue:
    """One instance that serves one request at a time, first in, first out."""

    rng: random.Random
    service_seconds: float = SERVICE_SECONDS
    free_at: float = 0.0

    def answers(self, begin: float, seconds: float, busy: float) -> list[tuple[float, float]]:
        """Return (when asked, latency) of the deployment's requests among all, which keep a `busy` part of it."""
        found, at = list[tuple[float, float]](), begin
        while (at := at + self.rng.expovariate(busy / SERVICE_SECONDS)) < begin + seconds:
            self.free_at = max(at, self.free_at) + self.rng.expovariate(1 / self.service_seconds)
            if self.rng.random() < ASKED:
                found.append((at, self.free_at - at))
        return found


def bake(busy: float, slower_percent: float, seed: int, *, is_seen_before: bool = True) -> Judge:
    """Judge a canary of one instance beside two old ones, each of which clients kept `busy` before it.

    `is_seen_before`: the judge knows the old fleet's latencies from before the bake.
    """
    rng = random.Random(seed)
    old, new = [Queue(rng), Queue(rng)], Queue(rng, SERVICE_SECONDS * (1 + slower_percent / 100))
    judge = Judge(25.0)
    before = timed(old, 0.0, 60.0, busy, is_candidate=False)
    judge.saw_before(before if is_seen_before else before[:10])
    for look in range(LOOKS):
        begin = 60.0 + 24.0 * look
        ours = timed([new], begin, 24.0, busy, is_candidate=True)
        theirs = timed(old, begin, 24.0, busy / 2, is_candidate=False)
        judge.look([*ours, *theirs], Block(0, 0, 0, 0), (look + 1) / LOOKS)
        if judge.is_worse:
            break
    return judge


def timed(
    fleet: list[Queue], begin: float, seconds: float, busy: float, *, is_candidate: bool
) -> list[TimedAnswer]:
    return [
        TimedAnswer(at, latency, is_candidate, f"{is_candidate}-{number}")
        for number, instance in enumerate(fleet)
        for at, latency in instance.answers(begin, seconds, busy)
    ]
