"""Simulate bakes, count the verdicts, and draw them: `python -m tests.pipeline.judge_simulation docs/images/judge.svg`.

Latencies are lognormal around 20 ms (sigma 0.5: the 99th percentile is 3.2 times the median) unless a bake says otherwise.
Two fleets of two instances each serve; requests are 50 ms apart, ten looks are spread over the bake.
"""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.deployment.judge.judge import ALPHA, LOOKS, Comparison, Judge
from pipeline.deployment.judge.latency import TimedAnswer
from pipeline.deployment.judge.power import Samples, smallest_slowdown_percent
from pipeline.deployment.judge.sequential_test import Block

MEDIAN_SECONDS = 0.02
APART_SECONDS = 0.05
SIZES = (200, 500, 1000, 2000, 4800)
SLOWER = (0.0, 25.0, 50.0, 100.0)
BAKES = 400
INSTANCES = 2


@dataclass(frozen=True)
class Bake:
    """One way in which a bake can be. Percents of requests fail; `slower_percent`: the candidate, every answer.

    `stall_every_seconds`: each instance stops, for an exponential time with mean `stall_seconds`.
    """

    requests: int
    slower_percent: float = 0.0
    tail_slower_percent: float = 0.0  # of one candidate's request in a hundred
    share: float = 0.5
    sigma: float = 0.5
    margin_percent: float = 25.0
    candidate_fails_percent: float = 0.0
    baseline_fails_percent: float = 0.0
    stall_every_seconds: float = 0.0
    stall_seconds: float = 1.0


def simulate(bake: Bake, rng: random.Random) -> Judge:
    """Judge one bake to its end, or until the candidate is worse."""
    judge = Judge(bake.margin_percent)
    judge.saw_before([TimedAnswer(-60.0, 0.02, side, name) for side, name in _instances()])
    stalls = {name: _stalls(bake, rng) for _, name in _instances()}
    size = bake.requests // LOOKS
    for look in range(LOOKS):
        answers = [
            _answer(bake, n * APART_SECONDS, stalls, rng) for n in range(look * size, (look + 1) * size)
        ]
        judge.look(answers, _failures(bake, answers, rng), (look + 1) / LOOKS)
        if judge.is_worse:
            break
    return judge


def _instances() -> list[tuple[bool, str]]:
    return [(side, f"{side}-{n}") for side in (True, False) for n in range(INSTANCES)]


def _stalls(bake: Bake, rng: random.Random) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    at = 0.0
    while bake.stall_every_seconds and at < bake.requests * APART_SECONDS:
        at += rng.expovariate(1 / bake.stall_every_seconds)
        found.append((at, at + rng.expovariate(1 / bake.stall_seconds)))
    return found


def _answer(
    bake: Bake, at: float, stalls: dict[str, list[tuple[float, float]]], rng: random.Random
) -> TimedAnswer:
    is_candidate = rng.random() < bake.share
    instance = f"{is_candidate}-{rng.randrange(INSTANCES)}"
    seconds = MEDIAN_SECONDS * rng.lognormvariate(0.0, bake.sigma)
    if is_candidate:
        seconds *= 1 + bake.slower_percent / 100
        if bake.tail_slower_percent and rng.random() < 0.01:
            seconds *= 1 + bake.tail_slower_percent / 100
    seconds += sum(end - at for begin, end in stalls[instance] if begin <= at < end)
    return TimedAnswer(at, seconds, is_candidate, instance)


def _failures(bake: Bake, answers: Sequence[TimedAnswer], rng: random.Random) -> Block:
    percents = {True: bake.candidate_fails_percent, False: bake.baseline_fails_percent}
    failed = [each.is_candidate for each in answers if 100 * rng.random() < percents[each.is_candidate]]
    candidate = sum(each.is_candidate for each in answers)
    return Block(candidate, len(answers), sum(failed), len(failed))


def count_worse(bake: Bake, bakes: int, seed: int) -> int:
    """Return in how many of so many bakes the candidate is called worse."""
    rng = random.Random(seed)
    return sum(simulate(bake, rng).is_worse for _ in range(bakes))


def foreseen_percent(bake: Bake, seed: int) -> float | None:
    """Return the smallest slowdown that the judge says it finds in such a bake."""
    rng = random.Random(seed)
    latencies = [MEDIAN_SECONDS * rng.lognormvariate(0.0, bake.sigma) for _ in range(2000)]
    samples = Samples(int(bake.requests * bake.share), int(bake.requests * (1 - bake.share)))
    return smallest_slowdown_percent(latencies, samples, bake.margin_percent, ALPHA)


def curves() -> dict[float, list[float]]:
    """Return the percent of bakes that call the candidate worse, by its slowdown, one for each of SIZES."""
    return {
        slower: [100 * count_worse(Bake(size, slower), BAKES, seed=size) / BAKES for size in SIZES]
        for slower in SLOWER
    }


def svg(found: dict[float, list[float]]) -> str:
    """Draw the curves, percent of bakes over requests."""
    left, bottom, wide, high = 60, 300, 480, 260
    x = [left + wide * n / (len(SIZES) - 1) for n in range(len(SIZES))]
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 350" font-family="sans-serif" font-size="12">',
        '<rect width="720" height="350" fill="white"/>',
    ]
    for percent in (0, 25, 50, 75, 100):
        y = bottom - high * percent / 100
        lines.append(f'<path d="M{left} {y}h{wide}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>')
    for at, size in zip(x, SIZES, strict=True):
        seconds = size * APART_SECONDS
        lines.append(f'<text x="{at}" y="{bottom + 18}" text-anchor="middle">{size}</text>')
        lines.append(
            f'<text x="{at}" y="{bottom + 33}" text-anchor="middle" fill="#666">{seconds:g} s</text>'
        )
    lines.append(f'<text x="{left + wide + 25}" y="{bottom + 18}" fill="#666">requests</text>')
    lines.append(f'<text x="{left + wide + 25}" y="{bottom + 33}" fill="#666">at 20 a second</text>')
    for colour, (slower, percents) in zip(("#2a7", "#07b", "#e80", "#c33"), found.items(), strict=True):
        points = [(at, bottom - high * each / 100) for at, each in zip(x, percents, strict=True)]
        path = " ".join(f"{'L' if n else 'M'}{at:.1f} {y:.1f}" for n, (at, y) in enumerate(points))
        lines.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        offset = {0.0: 14, 25.0: -4}.get(slower, 4 if slower < 100 else -4)
        label = f'<text x="{left + wide + 8}" y="{points[-1][1] + offset:.1f}" fill="{colour}">'
        lines.append(f"{label}{slower:g} % slower</text>")
    return "\n".join([*lines, "</svg>", ""])


def table(found: dict[float, list[float]]) -> str:
    """Return the curves as a table in Markdown, with the slowdown that is foreseen and its measured power."""
    rows = [
        "| requests | " + " | ".join(f"{each:g} % slower" for each in found) + " | foreseen | its power |"
    ]
    rows.append("|---" * (len(found) + 3) + "|")
    for n, size in enumerate(SIZES):
        foreseen = foreseen_percent(Bake(size), seed=size)
        power = "–" if foreseen is None else f"{_power(Bake(size), foreseen):.0f} %"
        cells = [f"{percents[n]:.1f} %" for percents in found.values()]
        rows.append(f"| {size} | {' | '.join(cells)} | {foreseen} % | {power} |")
    return "\n".join(rows)


def _power(bake: Bake, slower_percent: float) -> float:
    slower = replace(bake, slower_percent=slower_percent)
    return 100 * count_worse(slower, BAKES, seed=bake.requests + 1) / BAKES


def verdict_of(bake: Bake, seed: int) -> Comparison:
    """Return the verdict on one bake."""
    return simulate(bake, random.Random(seed)).judgement().verdict


if __name__ == "__main__":
    drawn = curves()
    Path(sys.argv[1]).write_text(svg(drawn))
    print(table(drawn))
