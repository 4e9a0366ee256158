"""The evidence that a promotion requires: of exactly this release, recent, and PASSED but for what a person accepts."""

from collections.abc import Mapping
from types import MappingProxyType

from pipeline.errors import ConfigError, PromotionRefused
from pipeline.gates import Verdict
from pipeline.promotion.accepted_gates import how_to_accept, not_accepted
from pipeline.release import UNCHECKED, Release
from pipeline.release_store.golden import how_to_add
from pipeline.run import Run
from pipeline.verification.evidence import Evidence
from pipeline.verification.stored_evidence import find_evidence


def require_evidence(
    release: Release, run: Run, *, unchecked: bool = False, accept: Mapping[str, str] = MappingProxyType({})
) -> Evidence:
    """Return the evidence for the promotion, and copy it to the build folder of the environment.

    Raises PromotionRefused when there is none.

    `unchecked`: of a release without golden requests, take gates that could not be judged for that reason alone.
    """
    source = run.env.promotes_from
    if source is None:
        raise ConfigError(
            f"Nothing is promoted to {run.env.name}: its promotes_from is null.",
            fix=f"Use `python -m pipeline deploy --env {run.env.name}`, or name the environment before it.",
        )
    if release.unchecked and not unchecked:
        raise PromotionRefused(
            f"{release.id} is {UNCHECKED}.",
            fix=f"{how_to_add(source)} Or take the risk, which the audit trail keeps: `python -m pipeline promote "
            f"--env {run.env.name} --unchecked`.",
        )
    evidence = find_evidence(release.id, source, run)
    again = f"Run `python -m pipeline verify --env {source}` with this release live there."
    if evidence is None:
        raise PromotionRefused(f"Nobody has verified release {release.id} in {source}.", fix=again)
    named = not_accepted(evidence, accept)
    if release.unchecked:
        named = tuple(gate for gate in named if gate.reason != UNCHECKED)
    if named or not evidence.gates or evidence.environment != source:
        bad = "; ".join(f"{gate.name} {gate.verdict}: {gate.reason}" for gate in named)
        raise PromotionRefused(
            f"Release {release.id} is {evidence.verdict.upper()} in {evidence.environment}: {bad}.",
            fix=f"{again}{how_to_accept(named, run.env.name)}",
        )
    _require_recent(evidence, source, run)
    evidence.save(run.build / run.env.name / f"evidence-{source}.json")
    return evidence


def _require_recent(evidence: Evidence, source: str, run: Run) -> None:
    hours = (run.clock.now() - evidence.finished) / 3600
    if hours > run.env.promotion.evidence_age_hours:
        raise PromotionRefused(
            f"Release {evidence.release} {verdict_of(evidence)} in {source} {hours:.0f} hours ago; {run.env.name} takes "
            f"evidence of the last {run.env.promotion.evidence_age_hours:g} hours.",
            fix=f"Measure it again: `python -m pipeline verify --env {source} --again`.",
        )


def verdict_of(evidence: Evidence) -> str:
    """Return the verdict of evidence that was taken, in words."""
    if evidence.verdict is Verdict.PASSED:
        return "PASSED"
    if any(gate.reason == UNCHECKED for gate in evidence.gates):
        return "is UNCHECKED"
    return f"{evidence.verdict.upper()}, and was accepted,"
