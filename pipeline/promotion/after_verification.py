"""Put the release before back when one fails its verification, where the config says so."""

import logging
from collections.abc import Callable

from pipeline.errors import GateFailed, NothingToRollBackTo
from pipeline.promotion.rollback import rollback
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.rollback_intent import Failure, interrupted_rollback
from pipeline.verification.evidence import Evidence

log = logging.getLogger(__name__)


def verify_or_roll_back(release: Release, run: Run, verify: Callable[[], Evidence]) -> Evidence:
    """Return the evidence of `verify`. Raises its errors.

    When a gate FAILED and `verification.on_failed` is roll_back, the good release before is live by then. If that
    rollback was interrupted, the same command finishes it and raises GateFailed again.
    """
    _resume_rollback(release, run)
    try:
        return verify()
    except GateFailed as error:
        if run.env.verification.on_failed == "keep":
            raise
        failure = Failure(error=type(error).__name__, what=error.what)
        raise _failed(failure, _roll_back(run, failure)) from error


def _resume_rollback(release: Release, run: Run) -> None:
    begun = interrupted_rollback(run)
    is_ours = begun is not None and begun.because is not None and begun.because.error == GateFailed.__name__
    if begun is None or begun.because is None or not is_ours or begun.left != release.id:
        return
    raise _failed(begun.because, rollback(run).release)


def _roll_back(run: Run, failure: Failure) -> str | None:
    """Return the release that is live again; None: there is none to go back to, and the failed one stays."""
    try:
        return rollback(run, because=failure).release
    except NothingToRollBackTo as error:
        log.warning(f"the release that failed stays live: {error.what}")
        return None


def _failed(failure: Failure, back: str | None) -> GateFailed:
    where = f"Release {back} is back" if back else "No earlier good release is known: it stays live"
    return GateFailed(
        failure.what,
        fix=f"{where}. Correct the model or its instances, publish, and deploy again; "
        "`verification.on_failed: keep` leaves a failed release live to be examined.",
    )
