"""The step `verify`: measure what is live, judge it by the promise to clients, and keep the evidence."""

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.account.cost import Prices
from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.deployment.observe import require_live
from pipeline.deployment.plan import config_name
from pipeline.errors import GateFailed, VerificationInconclusive
from pipeline.gates import Gate, Verdict
from pipeline.release import Release
from pipeline.state.records import Say
from pipeline.verification.evidence import Evidence, Profile, already_passed, evidence_key, read_evidence
from pipeline.verification.stages import Job, measure


def verify(
    release: Release,
    env: Environment,
    aws: Aws,
    build: Path,
    profile: Profile,
    say: Say = print,
    *,
    again: bool = False,
    following: Environment | None = None,
    shape: str | None = None,
    prices: Prices | None = None,
) -> Evidence:
    """Measure the release that is live in `env` against the promise to clients, and keep the evidence.

    `following`: the environment that promotes from this one; its release is what this one is compared with.
    `shape`: of config/shapes, loaded and judged as well. PASSED evidence for the same release, endpoint config,
    profile and shape is kept, unless `again`. `prices`: what a million predictions cost is reckoned with.
    Raises GateFailed or VerificationInconclusive, after the evidence is written; ReleaseError when
    another release is live.
    """
    job = Job(release, env, aws, build, profile, config_name(release, env), following, shape, prices)
    stored = read_evidence(aws.get_json(evidence_key(release.id, env.name)))
    same = {"release": release.id, "endpoint": env.endpoint.name, "config": job.config, "profile": profile}
    if stored is not None and already_passed(stored, **same, shape=shape) and not again:
        say(f"already verified: {release.id} passed in {env.name} with this config; --again measures anew")
        _save(stored, env, build)
        return stored
    require_live(release, env, aws, config=job.config)
    started = time.time()
    evidence = measure(job, say).evidence(job, started)
    _save(evidence, env, build)
    aws.put_json(evidence_key(release.id, env.name), evidence.document())
    require_passed(evidence)
    return evidence


def require_passed(evidence: Evidence) -> None:
    """Return for PASSED evidence. Raises GateFailed or VerificationInconclusive, naming each gate."""
    where = f"{evidence.release} in {evidence.environment}"
    if evidence.verdict is Verdict.FAILED:
        raise GateFailed(
            f"{where} broke the promise to clients:\n{_lines(evidence.failed)}",
            fix="It will not be promoted. The evidence and the load results are beside the release; "
            "correct the model or its instances, or change `limits:` if the promise is wrong.",
        )
    if evidence.verdict is Verdict.INCONCLUSIVE:
        raise VerificationInconclusive(
            f"{where} could not be judged:\n{_lines(evidence.inconclusive)}",
            fix="Remove what the reasons name, then verify again; what was not measured is not promoted.",
        )


def _lines(gates: Sequence[Gate]) -> str:
    return "\n".join(f"  {gate.name}: {gate.reason}" for gate in gates)


def _save(evidence: Evidence, env: Environment, build: Path) -> None:
    evidence.save(build / env.name / "evidence.json")
    if evidence.capacity is not None:
        evidence.capacity.save(build / env.name / "capacity.json")
