"""Roll back to a release that was live before, by the deployment records.

The destination is stored before the rollback begins: without it, a rollback that was interrupted when the old
release was live, but not yet recorded, would go forward again.
"""

import logging
from collections.abc import Sequence

from pipeline.aws import AwsClient, Call
from pipeline.ci import github_run_url
from pipeline.config import Strategy
from pipeline.deployment.deploy import deploy
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.promotion.rollback_target import release_before, require_deployable
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.records import DeploymentRecord, deployments
from pipeline.state.rollback_intent import Failure, RollbackIntent, intent_key, interrupted_rollback

log = logging.getLogger(__name__)


class RollbackResult(Model):
    """The state of the endpoint at the end of `rollback`. `seconds`: from its begin to the proof that it is live."""

    release: str
    left: str | None  # the release that was live before
    config: str
    config_was_at_hand: bool
    endpoint: str
    instances_proved: int
    strategy: Strategy | None  # by which the traffic was moved; None: it was not
    in_service_at: float  # epoch seconds
    seconds: float


def rollback_target(run: Run) -> str:
    """Return the id of the release that `rollback` without a release goes back to.

    A GitHub run that has rolled back already gets the same answer when it is run again: it does not take the
    release that it came from for the one before. Raises NothingToRollBackTo.
    """
    records = deployments(run.aws, run.env.name)
    begun = interrupted_rollback(run, records)
    if begun is not None:
        return require_deployable(begun.release, run, records).id
    this_run = github_run_url()
    if this_run is not None and records and records[-1].deployed_by_run == this_run:
        return records[-1].release
    return release_before(run, records, _live_release(run))


def rollback(run: Run, *, to: str | None = None, because: Failure | None = None) -> RollbackResult:
    """Deploy the previous release of `env`, or `to`, with the endpoint config it had, if that is still there.

    Without `to`, releases that failed in this environment are passed over. `because` is kept until the rollback has
    ended, for a promotion whose rollback is interrupted. Raises NothingToRollBackTo when no such release is known,
    ReleaseError for one that cannot be deployed any more, both before anything is written, and the errors of `deploy`.
    """
    started = run.clock.monotonic()
    records = deployments(run.aws, run.env.name)
    intent, release = _begin(run, records, to, because)
    existing_config = _existing_config(release.id, records, run.aws)
    how = "with the config it had" if existing_config else "its config is gone: with one by today's settings"
    log.info(f"{run.env.endpoint.name}: from {intent.left} back to {release.id}, {how}")
    deployed = deploy(release, run, existing_config=existing_config, is_compared=False)
    forget = {"Bucket": run.env.aws.bucket, "Key": intent_key(run.env)}
    run.aws.apply(Call("s3", "delete_object", forget, f"forget {intent_key(run.env)}: it is done"))
    seconds = round(run.clock.monotonic() - started, 1)
    log.info(f"{run.env.endpoint.name} is back on {release.id}, {seconds:g} s after the rollback began")
    return RollbackResult(
        release=release.id,
        left=intent.left,
        config=deployed.config,
        config_was_at_hand=existing_config is not None,
        endpoint=deployed.endpoint,
        instances_proved=deployed.instances_proved,
        strategy=deployed.strategy,
        in_service_at=deployed.in_service_at,
        seconds=seconds,
    )


def _begin(
    run: Run, records: Sequence[DeploymentRecord], to: str | None, because: Failure | None
) -> tuple[RollbackIntent, Release]:
    """Resume an interrupted rollback, or store the destination of this one once it is known to be deployable."""
    begun = interrupted_rollback(run, records)
    if begun is not None and to in (None, begun.release):
        release = require_deployable(begun.release, run, records)
        log.info(f"go on with the rollback to {begun.release}")
        return begun, release
    live = _live_release(run)
    release = require_deployable(to or release_before(run, records, live), run, records)
    last = records[-1].config if records else None
    intent = RollbackIntent(release=release.id, left=live, last=last, because=because)
    run.aws.put_json(intent_key(run.env), intent.document())
    return intent, release


def _live_release(run: Run) -> str | None:
    described = run.aws.describe_endpoint(run.env.endpoint.name)
    return release_of(described["EndpointConfigName"]) if described else None


def _existing_config(release_id: str, records: Sequence[DeploymentRecord], aws: AwsClient) -> str | None:
    """Return the endpoint config that served the release last; None when it, or its model, is gone."""
    name = next((record.config for record in reversed(records) if record.release == release_id), None)
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name) if name else None
    models = [each["ModelName"] for each in (found or {}).get("ProductionVariants", [])]
    there = [aws.find("sagemaker", "describe_model", ModelName=model) for model in models]
    return name if there and all(there) else None
