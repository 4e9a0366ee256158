"""The releases that a rollback can go back to: deployed before, still published, and not known to be bad.

A release is known to be bad in an environment when its verification there FAILED, or its promotion into it had to be
undone. A person can still name one.
"""

import logging
from collections.abc import Iterator, Sequence

from pipeline.errors import NothingToRollBackTo, ReleaseError
from pipeline.gates import Verdict
from pipeline.preflight import checks, image_checks
from pipeline.preflight.preflight import PreflightSnapshot
from pipeline.promotion.outcome import PromotionOutcome, outcome_key
from pipeline.release import RELEASE_ID, Release
from pipeline.release_store.manifests import fetch_release
from pipeline.run import Run
from pipeline.state.records import DeploymentRecord
from pipeline.verification.evidence import evidence_key, read_evidence

log = logging.getLogger(__name__)

MOST_NAMED = 5  # releases that an error suggests


def earlier_releases(records: Sequence[DeploymentRecord], live: str | None) -> tuple[str, ...]:
    """Return the ids of all deployed releases but the live one, the newest first."""
    newest_first = dict.fromkeys(record.release for record in reversed(records))
    return tuple(release for release in newest_first if release != live)


def why_failed(release_id: str, run: Run) -> str | None:
    """Return the reason for which a release counts as bad in this environment; None: nothing speaks against it."""
    evidence = read_evidence(run.aws.get_json(evidence_key(release_id, run.env.name)))
    if evidence is not None and evidence.verdict is Verdict.FAILED:
        return f"failed verification: {', '.join(gate.name for gate in evidence.failed)}"
    stored = run.aws.get_json(outcome_key(release_id, run.env.name))
    outcome = None if stored is None else PromotionOutcome.model_validate(stored)
    if outcome is not None and outcome.verdict == "failed" and outcome.was_live:
        return f"failed its promotion: {outcome.reason}"
    return None


def good_releases(run: Run, records: Sequence[DeploymentRecord], live: str | None) -> Iterator[str]:
    """Yield the releases to go back to, the newest first; each that is passed over is logged with its reason."""
    for release_id in earlier_releases(records, live):
        if fetch_release(release_id, run.aws) is None:
            log.info(f"{release_id} is passed over: it is no longer published")
        elif (why := why_failed(release_id, run)) is not None:
            log.info(f"{release_id} is passed over: it {why}")
        else:
            yield release_id


def release_before(run: Run, records: Sequence[DeploymentRecord], live: str | None) -> str:
    """Return the newest good release that was deployed before the live one. Raises NothingToRollBackTo."""
    target = next(good_releases(run, records, live), None)
    if target is None:
        passed_over = earlier_releases(records, live)
        which = (
            f"no good release before {live or 'any'}" if passed_over else f"no release before {live or 'any'}"
        )
        raise NothingToRollBackTo(
            f"{run.env.name} has had {which}.",
            fix=f"Name one: python -m pipeline rollback --env {run.env.name} --to "
            f"{' | '.join(passed_over[:MOST_NAMED]) or 'RELEASE'}.",
        )
    return target


def require_deployable(release_id: str, run: Run, records: Sequence[DeploymentRecord]) -> Release:
    """Return a published release whose image and weights are still there, before anything is written.

    Raises ReleaseError that names releases which can be gone back to.
    """
    others = earlier_releases(records, release_id)[:MOST_NAMED]
    fix = f"Name another one: python -m pipeline rollback --env {run.env.name} --to {' | '.join(others) or 'RELEASE'}."
    if not RELEASE_ID.fullmatch(release_id):
        raise ReleaseError(
            f"'{release_id}' is not the id of a release, such as 3f0c1d2e4b5a-9a1b2c3d.", fix=fix
        )
    release = fetch_release(release_id, run.aws)
    if release is None:
        where = f"s3://{run.env.aws.bucket}"
        raise ReleaseError(
            f"There is no release {release_id} in {where}: never published, or deleted by gc.", fix=fix
        )
    seen = PreflightSnapshot(release, run)
    gone = [
        *image_checks.check_image(run.env, release.image, seen.image),
        *checks.check_weights(release, seen.weights),
    ]
    if gone:
        missing = " ".join(problem.what for problem in gone)
        raise ReleaseError(f"Release {release_id} cannot be deployed any more: {missing}", fix=fix)
    return release
