"""Mark the slowest answers of a look, after the margin, for the exact test of which fleet gave them."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.deployment.judge.sequential_test import Block

WARM_UP_SECONDS = 3.0  # of each instance, from its first answer; judged apart


@dataclass(frozen=True)
class TimedAnswer:
    """One answer to a request of the deployment. `sent_at`: seconds on a monotonic clock.

    `is_candidate`: the new fleet gave it, not the old one.
    """

    sent_at: float
    seconds: float
    is_candidate: bool
    instance: str | None


# Shares of all answers: the slowest half sees a slower median, the slowest tenth and hundredth see slower tails.
SLOWEST: Mapping[str, float] = {"half": 0.5, "tenth": 0.1, "hundredth": 0.01}
STALLED = 0.1  # this slow, answers of one instance in a row have one cause


def warmed_up(
    answers: Iterable[TimedAnswer], first_seen: dict[str, float]
) -> tuple[list[TimedAnswer], list[TimedAnswer]]:
    """Part the answers into those of warm instances and those of instances in their first seconds.

    `first_seen`: when each instance was first asked; it is brought up to date.
    """
    warm: list[TimedAnswer] = []
    apart: list[TimedAnswer] = []
    for each in sorted(answers, key=lambda answer: answer.sent_at):
        since = first_seen.setdefault(each.instance or "", each.sent_at)
        (warm if each.sent_at - since >= WARM_UP_SECONDS else apart).append(each)
    return warm, apart


def blocks_of(answers: Sequence[TimedAnswer], margin_percent: float) -> dict[str, Block]:
    """Count the slowest answers of one look by SLOWEST, and the candidate's among them.

    The candidate's latencies are divided by 1 + margin: slower by less than that is no fault. Equal latencies count as
    not slower. `answers` are in the order in which they were asked for.
    """
    forgiven = 1 + margin_percent / 100
    fair = [each.seconds / forgiven if each.is_candidate else each.seconds for each in answers]
    return {name: _block(share, answers, fair) for name, share in SLOWEST.items()}


def _block(share: float, answers: Sequence[TimedAnswer], seconds: Sequence[float]) -> Block:
    candidate = sum(each.is_candidate for each in answers)
    if candidate in {0, len(answers)}:
        return Block(candidate, len(answers), 0, 0)
    threshold = exceeded_by(share, seconds)
    kept = stalls_joined(answers, seconds, exceeded_by(min(share, STALLED), seconds))
    slow = [answers[n].is_candidate for n in kept if seconds[n] > threshold]
    return Block(sum(answers[n].is_candidate for n in kept), len(kept), sum(slow), len(slow))


def exceeded_by(share: float, seconds: Sequence[float]) -> float:
    """Return the latency that at most this share of at least two answers exceeds."""
    rank = min(max(round(share * len(seconds)), 1), len(seconds) - 1)
    return sorted(seconds)[-rank - 1]


def stalls_joined(answers: Sequence[TimedAnswer], seconds: Sequence[float], threshold: float) -> list[int]:
    """Return the places of the answers without those that a stall delayed after its first one.

    One pause of an instance delays every request that waits for it: such answers are not independent. A stall ends
    when the instance answers within the threshold (in extreme value statistics: runs declustering).
    """
    stalled, kept = set[str | None](), []
    for n, each in enumerate(answers):
        if seconds[n] <= threshold:
            stalled.discard(each.instance)
        elif each.instance in stalled:
            continue
        else:
            stalled.add(each.instance)
        kept.append(n)
    return kept


def survival(ordered: Sequence[float], threshold: float) -> float:
    """Return the share of the ordered latencies that is above the threshold."""
    return 1 - bisect.bisect_right(ordered, threshold) / len(ordered)
