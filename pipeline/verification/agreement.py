"""Ask a candidate what the live release was asked, and judge how many answers would change for clients."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import golden
from pipeline.aws import AwsClient
from pipeline.config import AnswerTolerance, Environment
from pipeline.errors import ReleaseError
from pipeline.gates import Gate, Limit, Verdict, judge
from pipeline.release import Release
from pipeline.release_store.golden import read_golden
from pipeline.release_store.manifests import published_release
from pipeline.run import Run
from pipeline.verification.captured_requests import captured_cases
from pipeline.verification.comparison import Baseline, find_baseline

log = logging.getLogger(__name__)

NAME = "agreement"
EXAMPLES = 3


def agreement_gates(release: Release, endpoint: str, run: Run, following: Environment | None) -> list[Gate]:
    """Return the gate of `limits.changed_answers_percent`; none without that limit, and for a first release.

    `endpoint` serves the candidate alone. It is asked the golden requests of the release that the next environment
    serves, and where that one captures, the newest requests of its clients.
    """
    limit = run.env.limits.changed_answers_percent
    if limit is None:
        return []
    baseline = find_baseline(release, run, following)
    if following is None or isinstance(baseline, str):
        log.info(f"agreement: nothing to compare with, {baseline}")
        return []
    try:
        cases, count = _cases_of(baseline, run.in_environment(following))
    except ReleaseError as error:
        return [judge_agreement(limit, baseline.release, 0, 0, (), why_not=error.what)]
    changed = changed_answers(cases, endpoint, run.aws, run.env.verification.same_answer)
    why = f"{baseline.release} has no golden requests, and none of its clients' were captured"
    gate = judge_agreement(limit, baseline.release, len(cases), count, changed, why_not=why)
    log.info(f"agreement: {gate.reason}")
    return [gate]


def _cases_of(baseline: Baseline, run: Run) -> tuple[tuple[golden.Case, ...], int]:
    """Return what the live release was asked, with its answers, and how much of it was captured from clients."""
    found = read_golden(published_release(baseline.release, run.aws), run)
    described = run.aws.describe_endpoint(run.env.endpoint.name) or {}
    captured = captured_cases(run.env, str(described.get("EndpointConfigName")), run.aws)
    recorded = (
        ()
        if found is None
        else tuple(
            replace(case, name=found.label(number)) for number, case in enumerate(found) if case.is_answered
        )
    )
    return (*recorded, *captured), len(captured)


def changed_answers(
    cases: Sequence[golden.Case], endpoint: str, aws: AwsClient, tolerance: AnswerTolerance
) -> tuple[str, ...]:
    """Ask each request once, and return a sentence for each answer that is another one; errors are other answers."""
    found = (
        (case, aws.invoke(endpoint, case.request).difference(_tolerant(case, tolerance))) for case in cases
    )
    return tuple(f"{case.name}: {difference}" for case, difference in found if difference is not None)


def _tolerant(case: golden.Case, tolerance: AnswerTolerance) -> golden.Case:
    own = case.expected.comparison
    wider = replace(
        own,
        absolute=max(own.absolute, tolerance.absolute),
        relative=max(own.relative, tolerance.relative),
    )
    return replace(case, expected=replace(case.expected, comparison=wider))


def judge_agreement(
    limit: float, baseline: str, asked: int, captured: int, changed: Sequence[str], *, why_not: str
) -> Gate:
    """Judge the share of changed answers. `why_not`: the reason when nothing was asked."""
    of_clients = f", {captured} of them requests of clients" if captured else ""
    said = f"{len(changed)} of {asked} answers are not those of {baseline}{of_clients}"
    rule = Limit(name=NAME, metric="changed_answers_percent", at_most=limit, unit="%", passed_reason=said)
    gate = judge(rule, 100 * len(changed) / asked if asked else None, why_not_measured=why_not)
    if gate.verdict is not Verdict.FAILED:
        return gate
    more = len(changed) - EXAMPLES
    examples = "; ".join(changed[:EXAMPLES]) + (f"; and {more} more" if more > 0 else "")
    return gate.model_copy(update={"reason": f"{said}: {examples}"})
