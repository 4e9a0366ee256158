"""Join the results of several generators that have offered one load together, each a part of the rate. Pure.

Percentiles of parts cannot be added up: the worst part's is taken for the whole. If in no part more than 1 % of the
answers took longer than a time, neither did more than 1 % of all.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.errors import LoadTestBroken
from pipeline.verification.load import LoadResult, PhaseResult

OVERLAP = 0.8  # of the time of the longest, during which all generators must run

AGAIN = "Run the load test again, with the same --at for all generators."


def join_results(results: Sequence[LoadResult]) -> LoadResult:
    """Return the load as if one generator had offered it.

    Raises LoadTestBroken when the results are not parts of one load, or were not offered at the same time.
    """
    first = results[0]
    if any(each.endpoint != first.endpoint or _names(each) != _names(first) for each in results):
        raise LoadTestBroken(
            "The results are of different endpoints or shapes.",
            fix="Join the results of one load test alone.",
        )
    _require_overlap(results)
    phases = [_phase(parts) for parts in zip(*(each.phases for each in results), strict=True)]
    identities: dict[str, Counter[str]] = {}
    for each in results:
        for release, answers in each.identities.items():
            identities.setdefault(release, Counter()).update(answers)
    pairs = [pair for each in results for pair in each.first_answers.items()]
    return LoadResult(
        schema_version=1,
        endpoint=first.endpoint,
        started=phases[0].started,
        finished=phases[-1].finished,
        phases=tuple(phases),
        seconds=tuple(_seconds(results)),
        fleet=first.fleet,
        first_answers={name: min(at for other, at in pairs if other == name) for name, _ in pairs},
        identities={release: dict(answers) for release, answers in identities.items()},
        note=first.note,
    )


def _names(result: LoadResult) -> list[str]:
    return [phase.name for phase in result.phases]


def _require_overlap(results: Sequence[LoadResult]) -> None:
    spans = [(each.started, each.finished) for each in results]
    if any(begin is None or end is None for begin, end in spans):
        raise LoadTestBroken("A generator has sent no request.", fix=AGAIN)
    begins, ends = [float(begin or 0) for begin, _ in spans], [float(end or 0) for _, end in spans]
    longest = max(end - begin for begin, end in zip(begins, ends, strict=True))
    together = max(0.0, min(ends) - max(begins))
    if together < OVERLAP * longest:
        raise LoadTestBroken(
            f"The generators overlapped for {together:.0f} of {longest:.0f} s: the endpoint never had the whole load; "
            f"they must overlap by at least {100 * OVERLAP:.0f} %.",
            fix=AGAIN,
        )


def _phase(parts: Sequence[PhaseResult]) -> PhaseResult:
    errors: Counter[str] = Counter()
    for part in parts:
        errors.update(part.errors)
    slow = [part.slow for part in parts if part.slow is not None]
    return PhaseResult(
        name=parts[0].name,
        offered_rps=sum(part.offered_rps for part in parts),
        started=min(part.started for part in parts),
        finished=max(part.finished for part in parts),
        requests=sum(part.requests for part in parts),
        failures=sum(part.failures for part in parts),
        slow=sum(slow) if slow else None,
        achieved_rps=sum(part.achieved_rps for part in parts),
        p50_ms=_worst(part.p50_ms for part in parts),
        p95_ms=_worst(part.p95_ms for part in parts),
        p99_ms=_worst(part.p99_ms for part in parts),
        max_ms=_worst(part.max_ms for part in parts),
        generator_cpu_percent=max(part.generator_cpu_percent for part in parts),
        lag_p99_ms=_worst(part.lag_p99_ms for part in parts),
        invalid=next((part.invalid for part in parts if part.invalid), None),
        errors=dict(errors.most_common()),
    )


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _seconds(results: Sequence[LoadResult]) -> Iterable[dict[str, float | None]]:
    """Yield one row for each second: counts added up, the worst part's percentiles."""
    rows: dict[int, list[dict[str, float | None]]] = {}
    for each in results:
        for row in each.seconds:
            rows.setdefault(row["at"], []).append(row)
    for at in sorted(rows):
        counts = {key: sum(row[key] or 0 for row in rows[at]) for key in ("requests", "failures")}
        worst = {key: _worst(row[key] for row in rows[at]) for key in ("p50_ms", "p95_ms", "p99_ms")}
        yield {"at": at, **counts, **worst}
