"""The rollback that has begun in an environment, and its destination; kept in the release bucket."""

from collections.abc import Sequence

from pipeline.config import Environment
from pipeline.model import Model
from pipeline.run import Run
from pipeline.state.records import DeploymentRecord, deployments


class Failure(Model):
    """The error for which a promotion is rolled back: its class and its message."""

    error: str
    what: str


class RollbackIntent(Model):
    """A rollback that has begun. It is unfinished until another deployment is recorded."""

    release: str
    left: str | None
    last: str | None  # the config of the newest record when it began
    because: Failure | None = (
        None  # of the promotion that is rolled back; None: a person asked for the rollback
    )


def intent_key(env: Environment) -> str:
    """Return the key of an environment's rollback intent in the release bucket."""
    return f"rollbacks/{env.name}.json"


def interrupted_rollback(
    run: Run, records: Sequence[DeploymentRecord] | None = None
) -> RollbackIntent | None:
    """Return the rollback that has begun and not ended, if nothing else was deployed since by `records`, or AWS's."""
    written = run.aws.get_json(intent_key(run.env))
    if written is None:
        return None
    begun = RollbackIntent.model_validate(written)
    known = deployments(run.aws, run.env.name) if records is None else records
    last = known[-1] if known else None
    is_newest = begun.last == (last.config if last else None) or (last and begun.release == last.release)
    return begun if is_newest else None
