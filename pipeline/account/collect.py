"""Delete unreferenced models, configs, images and weights while no environment of the account changes."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from pipeline.account.garbage import InUse, Inventory, Rule, kept_releases, plan_collection
from pipeline.aws import AwsClient
from pipeline.config import BASELINE_SUFFIX, CAPACITY_SUFFIX, Environment
from pipeline.deployment.alarms import alarm_prefix
from pipeline.errors import AwsRefused, ConfigError, ReleaseError
from pipeline.model import Model
from pipeline.names import prefix_of
from pipeline.publishing.pushed_images import PUBLISHED_TAG
from pipeline.release_store.golden import PREFIX
from pipeline.release_store.manifests import fetch_release
from pipeline.run import Run
from pipeline.state.lock import environment_lock
from pipeline.state.records import deployments

log = logging.getLogger(__name__)

FEWEST_RELEASES = 2  # the live one, and the one before it


class CollectionResult(Model):
    """The kept releases, and the deletions that were made (or, on a dry run, planned)."""

    kept: tuple[str, ...]
    deleted: tuple[str, ...]
    dry_run: bool


def collect(
    envs: Sequence[Environment],
    run: Run,
    *,
    releases: int,
    days: int,
    dry_run: bool = False,
) -> CollectionResult:
    """Delete models, configs, images, weights and golden sets that no kept release references.

    `envs`: all environments of the account. Raises EnvironmentLocked while one of them is being changed,
    ReleaseError when the references of an endpoint are unknown, AwsRefused, ConfigError for fewer releases
    than a rollback needs.
    """
    if releases < FEWEST_RELEASES or days < 0:
        raise ConfigError(
            f"--keep {releases} --days {days} would take what can be rolled back to.",
            fix=f"Keep at least {FEWEST_RELEASES} releases, and 0 or more days.",
        )
    rule = Rule.of(releases, days, datetime.fromtimestamp(run.clock.now(), UTC))
    with ExitStack() as stack:
        locks = [stack.enter_context(environment_lock(run.in_environment(env), "gc")) for env in envs]
        stock = observe_inventory(envs, run.aws)
        calls = plan_collection(run.env.aws, stock, rule)
        kept = sorted(kept_releases(stock, rule))
        log.info(f"kept: {', '.join(kept) or 'no release'}")
        for call in calls:
            log.info(f"- {call.says}")
            if not dry_run:
                for lock in locks:
                    lock.require()
                _require_done(call.says, run.aws.apply(call))
    log.info(f"{len(calls)} calls {'planned, none' if dry_run else 'planned and'} made")
    return CollectionResult(kept=tuple(kept), deleted=tuple(call.says for call in calls), dry_run=dry_run)


def _require_done(says: str, answer: Mapping[str, Any]) -> None:
    """Return when ECR has deleted every image: it answers 200 in any case. Raises AwsRefused naming the first."""
    for failure in answer.get("failures", []):
        raise AwsRefused(
            says,
            code=str(failure.get("failureCode")),
            message=str(failure.get("failureReason")),
            fix="Look at the image in ECR, then run the same command again.",
        )


def observe_inventory(envs: Sequence[Environment], aws: AwsClient) -> Inventory:
    """List the releases of the account with their resources, and the resources that its endpoints use."""
    bucket, repository = aws.place.bucket, aws.place.repository
    manifests = _objects(bucket, "releases/", aws)
    ids = {key.split("/")[1] for key in manifests}
    releases = {each: found for each in sorted(ids) if (found := fetch_release(each, aws)) is not None}
    images = aws.pages("ecr", "describe_images", "imageDetails", repositoryName=repository)
    served = observe_in_use(aws)
    return Inventory(
        served=served,
        deployed={env.name: deployments(aws, env.name) for env in envs},
        releases=releases,
        configs=_ours(envs, aws, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        models=_ours(envs, aws, "list_models", "Models", "ModelName"),
        images={
            each["imageDigest"]: each["imagePushedAt"]
            for each in images  # an image with another tag, or none, is not of this pipeline
            if each.get("imageTags")
            and all(map(PUBLISHED_TAG.fullmatch, each["imageTags"]))
            and not any(uri.endswith(f":{tag}") for tag in each["imageTags"] for uri in served.images)
        },
        weights=_objects(bucket, "weights/", aws),
        golden=_objects(bucket, PREFIX, aws),
        manifests=manifests,
        alarms=[alarm["AlarmName"] for env in envs for alarm in aws.alarms(prefix=alarm_prefix(env))],
    )


def observe_in_use(aws: AwsClient) -> InUse:
    """Read the configs, models, images and weights that the account's endpoints serve or are changing to.

    Raises ReleaseError for an endpoint whose config or model is gone: its references are unknown.
    """
    configs = {
        name
        for listed in aws.pages("sagemaker", "list_endpoints", "Endpoints")
        if (described := aws.describe_endpoint(listed["EndpointName"])) is not None
        for name in (
            described["EndpointConfigName"],
            (described.get("PendingDeploymentSummary") or {}).get("EndpointConfigName"),
        )
        if name is not None
    }
    models = {name for config in configs for name in _models_of(config, aws)}
    containers = [each for model in sorted(models) for each in _containers_of(model, aws)]
    return InUse(
        configs=frozenset(configs),
        models=frozenset(models),
        images=frozenset(each["Image"] for each in containers if "Image" in each),
        weights=frozenset(each["ModelDataUrl"] for each in containers if "ModelDataUrl" in each),
    )


def _models_of(config: str, aws: AwsClient) -> Iterator[str]:
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config)
    if found is None:
        raise _unknown(f"endpoint config {config}")
    for variant in (*found.get("ProductionVariants", []), *found.get("ShadowProductionVariants", [])):
        if "ModelName" in variant:
            yield variant["ModelName"]


def _containers_of(model: str, aws: AwsClient) -> list[dict[str, Any]]:
    found = aws.find("sagemaker", "describe_model", ModelName=model)
    if found is None:
        raise _unknown(f"model {model}")
    return [each for each in (found.get("PrimaryContainer"), *found.get("Containers", [])) if each]


def _unknown(what: str) -> ReleaseError:
    return ReleaseError(
        f"An endpoint serves {what}, which is gone: its references are unknown, and nothing is deleted.",
        fix="Deploy to that endpoint again, or delete it; then run the same command again.",
    )


def _ours(
    envs: Sequence[Environment], aws: AwsClient, operation: str, member: str, name: str
) -> dict[str, datetime]:
    """Return those whose names derive from an environment's endpoint, or from its measuring endpoints."""
    suffixes = ("", CAPACITY_SUFFIX, BASELINE_SUFFIX)
    owners = {f"{env.endpoint.name}{suffix}" for env in envs for suffix in suffixes}
    listed = aws.pages("sagemaker", operation, member)
    return {each[name]: each["CreationTime"] for each in listed if prefix_of(each[name]) in owners}


def _objects(bucket: str, prefix: str, aws: AwsClient) -> dict[str, datetime]:
    listed = aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
    return {each["Key"]: each["LastModified"] for each in listed}
