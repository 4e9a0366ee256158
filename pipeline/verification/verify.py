"""The step `verify`: measure the live release, judge it by the SLO, and keep the evidence."""

import logging
from collections.abc import Sequence

from pipeline.account.cost import Prices
from pipeline.config import Environment
from pipeline.deployment.observe import require_live
from pipeline.deployment.plan import config_name
from pipeline.errors import GateFailed, VerificationInconclusive
from pipeline.gates import Gate, Verdict
from pipeline.release import Release
from pipeline.run import Run
from pipeline.verification.evidence import Evidence, Profile, already_passed, evidence_key, read_evidence
from pipeline.verification.stages import Job, measure

log = logging.getLogger(__name__)


def verify(
    release: Release,
    run: Run,
    profile: Profile,
    *,
    again: bool = False,
    following: Environment | None = None,
    shape: str | None = None,
    prices: Prices | None = None,
) -> Evidence:
    """Measure the live release against the SLO, and keep the evidence.

    `following`: the environment that promotes from this one; this release is compared with its release.
    `shape`: of config/shapes, loaded and judged as well. PASSED evidence for the same release, endpoint config,
    profile and shape is kept, unless `again`. `prices`: of instances, for the cost of a million predictions.
    Raises GateFailed or VerificationInconclusive, after the evidence is written; ReleaseError when
    another release is live.
    """
    job = Job(release, run, profile, config_name(release, run.env), following, shape, prices)
    stored = read_evidence(run.aws.get_json(evidence_key(release.id, run.env.name)))
    same = {
        "release": release.id,
        "endpoint": run.env.endpoint.name,
        "config": job.config,
        "profile": profile,
    }
    if stored is not None and already_passed(stored, **same, shape=shape) and not again:
        log.info(
            f"already verified: {release.id} passed in {run.env.name} with this config; --again measures anew"
        )
        _save(stored, run)
        return stored
    require_live(release, run, config=job.config)
    started = run.clock.now()
    evidence = measure(job).evidence(job, started)
    _save(evidence, run)
    run.aws.put_json(evidence_key(release.id, run.env.name), evidence.document())
    require_passed(evidence)
    return evidence


def require_passed(evidence: Evidence) -> None:
    """Return for PASSED evidence. Raises GateFailed or VerificationInconclusive, naming each gate."""
    where = f"{evidence.release} in {evidence.environment}"
    if evidence.verdict is Verdict.FAILED:
        raise GateFailed(
            f"{where} broke the SLO:\n{_lines(evidence.failed)}",
            fix="It will not be promoted. The evidence and the load results are beside the release; "
            "correct the model or its instances, or change `limits:` if the SLO is wrong.",
        )
    if evidence.verdict is Verdict.INCONCLUSIVE:
        raise VerificationInconclusive(
            f"{where} could not be judged:\n{_lines(evidence.inconclusive)}",
            fix="Remove the causes that the reasons name, then verify again: only a PASSED release is promoted.",
        )


def _lines(gates: Sequence[Gate]) -> str:
    return "\n".join(f"  {gate.name}: {gate.reason}" for gate in gates)


def _save(evidence: Evidence, run: Run) -> None:
    evidence.save(run.build / run.env.name / "evidence.json")
    if evidence.capacity is not None:
        evidence.capacity.save(run.build / run.env.name / "capacity.json")
