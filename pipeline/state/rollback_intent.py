"""The rollback that has begun in an environment, and where it goes; kept in the release bucket."""

from collections.abc import Sequence

from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.model import Model
from pipeline.state.records import DeploymentRecord, deployments


class Failure(Model):
    """Why a promotion is undone: the name of the error, and what it said."""

    error: str
    what: str


class Intent(Model):
    """A rollback that has begun, and has not come to its end unless something else was deployed since."""

    release: str
    left: str | None
    last: str | None  # the config of the newest record when it began
    because: Failure | None = None  # of the promotion that it undoes; None: somebody asked for it


def intent_key(env: Environment) -> str:
    """Where the destination of a rollback that has begun is kept in the release bucket."""
    return f"rollbacks/{env.name}.json"


def interrupted(
    env: Environment, aws: Aws, records: Sequence[DeploymentRecord] | None = None
) -> Intent | None:
    """Return the rollback that has begun and not ended, if nothing else was deployed since by `records`, or AWS's."""
    written = aws.get_json(intent_key(env))
    if written is None:
        return None
    begun = Intent.model_validate(written)
    known = deployments(aws, env.name) if records is None else records
    last = known[-1] if known else None
    is_newest = begun.last == (last.config if last else None) or (last and begun.release == last.release)
    return begun if is_newest else None
