"""Take a release to the next environment: evidence, deploy, autoscale with the policy read back, smoke.

A failure after the traffic has moved is rolled back to the release before. The outcome is kept beside the evidence,
and a promoted release is Approved in the Model Registry.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.autoscaling.autoscale import AutoscaleResult, autoscale
from pipeline.deployment.deploy import DeployResult, deploy
from pipeline.deployment.observe import require_live
from pipeline.errors import (
    PipelineError,
    PolicyCannotAct,
    PolicyNotInForce,
    PromotionRefused,
    SmokeFailed,
)
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.promotion.accepted_gates import used
from pipeline.promotion.outcome import PromotionOutcome, outcome_key
from pipeline.promotion.required_evidence import require_evidence, verdict_of
from pipeline.promotion.rollback import rollback
from pipeline.promotion.rollback_target import earlier_releases, good_releases
from pipeline.publishing.model_registry import approve
from pipeline.publishing.scan import require_scanned
from pipeline.release import Release
from pipeline.release_store.golden import fetch_golden
from pipeline.run import Run
from pipeline.state.records import deployments, record_step
from pipeline.state.rollback_intent import Failure, interrupted_rollback
from pipeline.verification.evidence import Evidence
from pipeline.verification.smoke import SmokeResult, run_smoke
from pipeline.verification.stored_evidence import find_capacity

log = logging.getLogger(__name__)

ROLLED_BACK = (SmokeFailed, PolicyNotInForce, PolicyCannotAct)  # the deployment itself has its own rollback
RunSmoke = Callable[[Release, Run, Path], SmokeResult]


class PromoteResult(Model):
    """The state of the environment at the end of `promote`."""

    release: str
    evidence_of: str
    evidence_finished: float  # epoch seconds
    deploy: DeployResult
    autoscale: AutoscaleResult
    smoke_tests: int
    unchecked: bool = False  # accepted without golden requests, by --unchecked
    notes: tuple[str, ...] = ()  # what was not compared, or by shape alone
    accepted: dict[str, str] = Field(default_factory=dict)  # by gate, why its verdict was accepted


def promote(
    release: Release,
    run: Run,
    *,
    smoke: RunSmoke = run_smoke,
    unchecked: bool = False,
    accept: Mapping[str, str] | None = None,
) -> PromoteResult:
    """Put a verified release live in `env`. The steps within leave their own records too.

    `unchecked`: accept a release without golden requests. `accept`: a reason for each gate whose verdict is accepted. Raises PromotionRefused without recent evidence that exactly this release PASSED in the environment
    before; ScanNotPassed for ECR's findings in its image since; PolicyNotInForce or PolicyCannotAct when no policy
    scales it, and SmokeFailed when its answers are wrong, with the release before live again; and the errors of
    `deploy`.
    """
    _resume_rollback(release, run)
    evidence = require_evidence(release, run, unchecked=unchecked, accept=accept or {})
    accepted = used(evidence, accept or {})
    log.info(
        f"release {release.id} {verdict_of(evidence)} in {evidence.environment}, {len(evidence.gates)} gates"
    )
    for note in evidence.notes:
        log.info(f"  {note}")
    for gate, reason in accepted.items():
        log.warning(f"  {gate} was accepted in spite of its verdict: {reason}")
    require_scanned(release.image, run)
    try:
        result = _promote(release, run, evidence, smoke)
    except PipelineError as error:
        failure = Failure(error=type(error).__name__, what=error.what)
        if isinstance(error, ROLLED_BACK):
            _roll_back(release, run, failure)
        _store_failure(release, run, failure)
        error.accepted = accepted
        raise
    approve(release, run)
    passed = () if release.unchecked else (f"{result.smoke_tests} smoke tests passed",)
    told = [f"{gate} accepted: {reason}" for gate, reason in accepted.items()]
    _store_outcome(release, run, "promoted", "; ".join([*passed, *told, *evidence.notes]))
    return result.model_copy(update={"accepted": accepted})


def _resume_rollback(release: Release, run: Run) -> None:
    """Resume an interrupted promotion rollback, and raise the error for which the promotion was rolled back."""
    begun = interrupted_rollback(run)
    if begun is None or begun.because is None or begun.left != release.id:
        return
    rollback(run)
    failure = begun.because
    _store_failure(release, run, failure)
    found = {error.__name__: error for error in ROLLED_BACK}.get(failure.error, PromotionRefused)
    raise found(
        f"{failure.what} An earlier run found this, and was interrupted while it put {begun.release} back.",
        fix=f"{begun.release} is back now. Once the cause is corrected, run the same command again.",
    )


def _roll_back(release: Release, run: Run, failure: Failure) -> None:
    """Deploy the good release before again; where none is good, the one before; a first release stays."""
    records = deployments(run.aws, run.env.name)
    before = next(good_releases(run, records, release.id), None) or next(
        iter(earlier_releases(records, release.id)), None
    )
    if before is None:
        log.info(f"{run.env.endpoint.name} has had no release before {release.id}: it stays")
    else:
        rollback(run, to=before, because=failure)


def _live(run: Run) -> str | None:
    described = run.aws.describe_endpoint(run.env.endpoint.name)
    return release_of(described["EndpointConfigName"]) if described else None


def _promote(release: Release, run: Run, evidence: Evidence, smoke: RunSmoke) -> PromoteResult:
    deployed, scaled = _deploy_and_scale(release, run)
    if run.env.autoscaling.has_policy and not scaled.policies:
        raise PolicyNotInForce(
            f"{run.env.endpoint.name} serves {release.id}, but no policy scales it: {scaled.reason}.",
            fix=f"Verify the release in {evidence.environment} on instances of type "
            f"{run.env.endpoint.instance_type}, or set autoscaling.target to a number.",
        )
    tests = 0 if release.unchecked else _smoke_tests(release, run, smoke)
    return PromoteResult(
        release=release.id,
        evidence_of=evidence.environment,
        evidence_finished=evidence.finished,
        deploy=deployed,
        autoscale=scaled,
        smoke_tests=tests,
        unchecked=release.unchecked,
        notes=tuple(dict.fromkeys([*evidence.notes, *deployed.notes])),
    )


def _smoke_tests(release: Release, run: Run, smoke: RunSmoke) -> int:
    """Return the number of smoke tests that passed. Raises SmokeFailed."""
    tested = smoke(release, run, fetch_golden(release, run))
    if not tested.passed:
        raise SmokeFailed(
            f"{run.env.endpoint.name}: {tested.problem or '; '.join(tested.failed)}.",
            fix=f"Read {tested.report}. The release that served before is put back; `python -m pipeline "
            f"status --env {run.env.name}` shows the live release.",
        )
    return tested.tests


def _deploy_and_scale(release: Release, run: Run) -> tuple[DeployResult, AutoscaleResult]:
    """Take both steps, each with its own record."""
    deployed = record_step(run, "deploy", lambda: deploy(release, run))

    def scale() -> AutoscaleResult:
        require_live(release, run)
        return autoscale(run, find_capacity(release.id, run))

    scaled = record_step(run, "autoscale", scale)
    return DeployResult.model_validate(deployed.result), AutoscaleResult.model_validate(scaled.result)


def _store_failure(release: Release, run: Run, failure: Failure) -> None:
    """Store why the promotion failed, and whether the traffic was on the release when it did."""
    was_live = failure.error in {error.__name__ for error in ROLLED_BACK}
    _store_outcome(release, run, "failed", f"{failure.error}: {failure.what}", was_live=was_live)


def _store_outcome(
    release: Release, run: Run, verdict: Literal["promoted", "failed"], reason: str, *, was_live: bool = False
) -> None:
    """Store the outcome of the promotion. If storing fails, the original error is raised."""
    try:
        outcome = PromotionOutcome(
            release=release.id,
            environment=run.env.name,
            verdict=verdict,
            reason=reason,
            live=_live(run),
            strategy=run.env.deployment.strategy,
            was_live=was_live,
            finished=run.clock.now(),
        )
        run.aws.put_json(outcome_key(release.id, run.env.name), outcome.document())
    except PipelineError as error:
        if verdict == "promoted":
            raise
        log.warning(f"how the promotion ended could not be kept: {error.what}")
