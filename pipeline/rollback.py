"""Go back to the release that was live before, by the records of what was deployed."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.deploy import DeployResult, deploy
from pipeline.errors import NothingToRollBackTo, ReleaseError
from pipeline.names import release_of
from pipeline.publish import fetch_release
from pipeline.records import DeploymentRecord, Say, deployments


def previous_release(records: Sequence[DeploymentRecord], live: str | None) -> str | None:
    """Return the id of the newest deployed release that is not the live one; None when there is none."""
    return next((record.release for record in reversed(records) if record.release != live), None)


def rollback(env: Environment, aws: Aws, build: Path, say: Say = print) -> DeployResult:
    """Deploy the previous release of `env`; its model, and its endpoint config, are still at hand.

    Raises NothingToRollBackTo when no other release was ever live there, and whatever deploy raises.
    """
    described = aws.describe_endpoint(env.endpoint.name)
    live = release_of(described["EndpointConfigName"]) if described else None
    previous = previous_release(deployments(aws, env.name), live)
    if previous is None:
        raise NothingToRollBackTo(
            f"{env.name} has had no release before {live or 'any'}.",
            fix=f"Name one: python -m pipeline deploy --env {env.name} --release FILE.",
        )
    release = fetch_release(previous, aws)
    if release is None:
        raise ReleaseError(
            f"The manifest of release {previous} is no longer in s3://{env.aws.bucket}.",
            fix="Restore releases/ from the bucket's versions, or deploy another release.",
        )
    say(f"{env.endpoint.name}: from {live} back to {previous}")
    return deploy(release, env, aws, build, say)
