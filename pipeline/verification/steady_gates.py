"""Judge the steady load: latency, errors and identity of the answers. Pure.

The load rises to its rate in a phase before, whose latencies are those of new connections and are not judged; its failures
are.
"""

from pipeline.config import Environment
from pipeline.gates import ENOUGH_REQUESTS, Gate, Limit, judge
from pipeline.verification.load import LoadResult, PhaseResult

WARM_UP = "warm-up"  # the phase before the steady one
SENT_SHARE = 0.9  # of the requested load; with less, another load was measured


def judge_steady(result: LoadResult, env: Environment, release: str) -> tuple[Gate, ...]:
    """Judge latency, errors and identity under the steady load."""
    latency, errors, others = steady_limits(env)
    steady = result.phase("steady")
    if steady is None:
        return tuple(
            judge(each, None, why_not_measured="no steady load") for each in (latency, errors, others)
        )
    answers = sum(sum(instances.values()) for instances in result.identities.values())
    wrong = answers - sum(result.identities.get(release, {}).values())
    why_not = _why_not_judged(steady, latency)
    error_percent, requests = _errors(result, steady)
    return (
        judge(
            latency,
            None if why_not else steady.p99_ms,
            samples=steady.requests,
            why_not_measured=why_not or "no request was answered",
        ),
        judge(errors, error_percent, samples=requests, why_not_measured="no request was sent"),
        judge(others, float(wrong) if answers else None, why_not_measured="no answer named its release"),
    )


def _errors(result: LoadResult, steady: PhaseResult) -> tuple[float | None, int]:
    """Return the percent of failed requests, and all requests, from the first one on."""
    phases = [steady, *filter(None, [result.phase(WARM_UP)])]
    requests, failures = sum(each.requests for each in phases), sum(each.failures for each in phases)
    return (100 * failures / requests if requests else None), requests


def _why_not_judged(steady: PhaseResult, latency: Limit) -> str | None:
    """Return the reason why this load does not measure the endpoint's latency; None: it does.

    Latencies count from when requests were due, so a late generator makes them longer: a latency within the limit
    is valid in spite of it, and one over the limit may be the generator's fault.
    """
    sent = steady.requests / max(steady.offered_rps * steady.seconds, 1)
    if sent < SENT_SHARE:
        return f"only {100 * sent:.0f} % of the load was sent; {steady.invalid or 'it was cut short'}"
    if steady.p99_ms is not None and steady.p99_ms <= latency.at_most:
        return None
    return steady.invalid


def steady_limits(env: Environment) -> tuple[Limit, Limit, Limit]:
    """Return the limits of latency, errors and release, in this order."""
    return (
        Limit(
            name="latency",
            metric="p99_ms",
            at_most=env.limits.p99_ms,
            unit="ms",
            passed_reason="99 of 100 answers under the steady load came within the limit",
            needs_samples=ENOUGH_REQUESTS,
        ),
        Limit(
            name="errors",
            metric="error_percent",
            at_most=env.limits.error_percent,
            unit="%",
            passed_reason="the steady load was answered, with the golden predictions where compared",
            needs_samples=ENOUGH_REQUESTS,
        ),
        Limit(
            name="release",
            metric="answers_of_other_releases",
            at_most=0,
            unit="answers",
            passed_reason="no other release answered",
        ),
    )
