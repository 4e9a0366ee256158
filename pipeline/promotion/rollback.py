"""Go back to a release that was live before, by the records of what was deployed.

Where it goes is written down before it begins: a rollback that was interrupted when the old release was live
already, but not yet recorded, would otherwise take the one it came from for the one before.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.aws import Aws, Call
from pipeline.ci import github_run_url
from pipeline.config import Environment, Strategy
from pipeline.deployment.deploy import deploy
from pipeline.errors import NothingToRollBackTo
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.release_store.manifests import published_release
from pipeline.state.records import DeploymentRecord, Say, deployments
from pipeline.state.rollback_intent import Failure, Intent, intent_key, interrupted


class RollbackResult(Model):
    """What `rollback` found true at its end. `seconds`: from its begin to the proof that it is live."""

    release: str
    left: str | None  # the release that was live before
    config: str
    config_was_at_hand: bool
    endpoint: str
    instances_proved: int
    strategy: Strategy | None  # by which the traffic was moved; None: it was not
    in_service_at: float  # epoch seconds
    seconds: float


def previous_release(records: Sequence[DeploymentRecord], live: str | None) -> str | None:
    """Return the id of the newest deployed release that is not the live one; None when there is none."""
    return next((record.release for record in reversed(records) if record.release != live), None)


def rollback_target(env: Environment, aws: Aws) -> str:
    """Return the id of the release that `rollback` without a release goes back to.

    A GitHub run that has rolled back already gets the same answer when it is run again: it does not take the
    release that it came from for the one before. Raises NothingToRollBackTo.
    """
    records = deployments(aws, env.name)
    begun = interrupted(env, aws, records)
    if begun is not None:
        return begun.release
    run = github_run_url()
    if run is not None and records and records[-1].deployed_by_run == run:
        return records[-1].release
    return _before(_live(env, aws), env, records)


def rollback(
    env: Environment,
    aws: Aws,
    build: Path,
    say: Say = print,
    *,
    to: str | None = None,
    because: Failure | None = None,
) -> RollbackResult:
    """Deploy the previous release of `env`, or `to`, with the endpoint config it had, if that is still there.

    `because` is kept until the rollback has ended, for a promotion that is interrupted while it is undone.
    Raises NothingToRollBackTo when no such release is known, and whatever deploy raises.
    """
    started = time.monotonic()
    records = deployments(aws, env.name)
    intent = _begin(env, aws, records, to, because, say)
    release = published_release(intent.release, aws)
    at_hand = _config_at_hand(release.id, records, aws)
    how = "with the config it had" if at_hand else "its config is gone: with one by today's settings"
    say(f"{env.endpoint.name}: from {intent.left} back to {release.id}, {how}")
    deployed = deploy(release, env, aws, build, say, at_hand=at_hand)
    forget = {"Bucket": env.aws.bucket, "Key": intent_key(env)}
    aws.apply(Call("s3", "delete_object", forget, f"forget {intent_key(env)}: it is done"))
    seconds = round(time.monotonic() - started, 1)
    say(f"{env.endpoint.name} is back on {release.id}, {seconds:g} s after the rollback began")
    return RollbackResult(
        release=release.id,
        left=intent.left,
        config=deployed.config,
        config_was_at_hand=at_hand is not None,
        endpoint=deployed.endpoint,
        instances_proved=deployed.instances_proved,
        strategy=deployed.strategy,
        in_service_at=deployed.in_service_at,
        seconds=seconds,
    )


def _begin(
    env: Environment,
    aws: Aws,
    records: Sequence[DeploymentRecord],
    to: str | None,
    because: Failure | None,
    say: Say,
) -> Intent:
    """Go on with a rollback that was interrupted, or write down where this one goes."""
    begun = interrupted(env, aws, records)
    if begun is not None and to in (None, begun.release):
        say(f"go on with the rollback to {begun.release}")
        return begun
    live = _live(env, aws)
    target = to or _before(live, env, records)
    last = records[-1].config if records else None
    intent = Intent(release=target, left=live, last=last, because=because)
    aws.put_json(intent_key(env), intent.document())
    return intent


def _live(env: Environment, aws: Aws) -> str | None:
    described = aws.describe_endpoint(env.endpoint.name)
    return release_of(described["EndpointConfigName"]) if described else None


def _before(live: str | None, env: Environment, records: Sequence[DeploymentRecord]) -> str:
    target = previous_release(records, live)
    if target is None:
        raise NothingToRollBackTo(
            f"{env.name} has had no release before {live or 'any'}.",
            fix=f"Name one: python -m pipeline rollback --env {env.name} --to RELEASE.",
        )
    return target


def _config_at_hand(release_id: str, records: Sequence[DeploymentRecord], aws: Aws) -> str | None:
    """Return the endpoint config that served the release last; None when it, or its model, is gone."""
    name = next((record.config for record in reversed(records) if record.release == release_id), None)
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name) if name else None
    models = [each["ModelName"] for each in (found or {}).get("ProductionVariants", [])]
    there = [aws.find("sagemaker", "describe_model", ModelName=model) for model in models]
    return name if there and all(there) else None
