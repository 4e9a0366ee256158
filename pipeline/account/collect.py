"""Remove what no release worth keeping needs, while no environment of the account changes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from pipeline.account.garbage import Rule, Served, Stock, kept_releases, plan_collection
from pipeline.aws import Aws
from pipeline.config import BASELINE_SUFFIX, CAPACITY_SUFFIX, Environment
from pipeline.deployment.alarms import alarm_prefix
from pipeline.errors import AwsRefused, ConfigError, ReleaseError
from pipeline.model import Model
from pipeline.names import prefix_of
from pipeline.publishing.image import PUBLISHED_TAG
from pipeline.release_store.manifests import fetch_release
from pipeline.state.lock import environment_lock
from pipeline.state.records import Say, deployments

FEWEST_RELEASES = 2  # the one that is live, and the one to go back to


class CollectionResult(Model):
    """Which releases are worth keeping, and what was deleted (or, on a dry run, would be)."""

    kept: tuple[str, ...]
    deleted: tuple[str, ...]
    dry_run: bool


def collect(
    envs: Sequence[Environment],
    aws: Aws,
    say: Say = print,
    *,
    releases: int,
    days: int,
    dry_run: bool = False,
    now: datetime | None = None,
) -> CollectionResult:
    """Delete what no release worth keeping needs. `envs`: all environments of the account.

    Raises EnvironmentLocked while one of them is being changed, ReleaseError when it cannot be known what
    an endpoint needs, AwsRefused, ConfigError for fewer releases than a rollback needs.
    """
    if releases < FEWEST_RELEASES or days < 0:
        raise ConfigError(
            f"--keep {releases} --days {days} would take what can be rolled back to.",
            fix=f"Keep at least {FEWEST_RELEASES} releases, and 0 or more days.",
        )
    rule = Rule.of(releases, days, now or datetime.now(UTC))
    with ExitStack() as locks:
        for env in envs:
            locks.enter_context(environment_lock(env, Aws(env), "gc", say))
        stock = observe_stock(envs, aws)
        calls = plan_collection(aws.env.aws, stock, rule)
        kept = sorted(kept_releases(stock, rule))
        say(f"kept: {', '.join(kept) or 'no release'}")
        for call in calls:
            say(f"- {call.says}")
            if not dry_run:
                _require_done(call.says, aws.apply(call))
    say(f"{len(calls)} calls {'planned, none' if dry_run else 'planned and'} made")
    return CollectionResult(kept=tuple(kept), deleted=tuple(call.says for call in calls), dry_run=dry_run)


def _require_done(says: str, answer: Mapping[str, Any]) -> None:
    """ECR answers 200 for images that it did not delete. Raises AwsRefused naming the first."""
    for failure in answer.get("failures", []):
        raise AwsRefused(
            says,
            code=str(failure.get("failureCode")),
            message=str(failure.get("failureReason")),
            fix="Look at the image in ECR, then run the same command again.",
        )


def observe_stock(envs: Sequence[Environment], aws: Aws) -> Stock:
    """Read what the account has of releases, and what its endpoints need."""
    bucket, repository = aws.env.aws.bucket, aws.env.aws.repository
    manifests = _objects(bucket, "releases/", aws)
    ids = {key.split("/")[1] for key in manifests}
    releases = {each: found for each in sorted(ids) if (found := fetch_release(each, aws)) is not None}
    images = aws.pages("ecr", "describe_images", "imageDetails", repositoryName=repository)
    served = observe_served(aws)
    return Stock(
        served=served,
        deployed={env.name: deployments(aws, env.name) for env in envs},
        releases=releases,
        configs=_ours(envs, aws, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        models=_ours(envs, aws, "list_models", "Models", "ModelName"),
        images={
            each["imageDigest"]: each["imagePushedAt"]
            for each in images  # what has another tag, or none, is somebody else's or the lifecycle's
            if each.get("imageTags")
            and all(map(PUBLISHED_TAG.fullmatch, each["imageTags"]))
            and not any(uri.endswith(f":{tag}") for tag in each["imageTags"] for uri in served.images)
        },
        weights=_objects(bucket, "weights/", aws),
        manifests=manifests,
        alarms=[alarm["AlarmName"] for env in envs for alarm in aws.alarms(prefix=alarm_prefix(env))],
    )


def observe_served(aws: Aws) -> Served:
    """Read what every endpoint of the account serves or is on its way to, down to images and weights.

    Raises ReleaseError for an endpoint whose config or model is gone: what it needs cannot be known.
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
    return Served(
        configs=frozenset(configs),
        models=frozenset(models),
        images=frozenset(each["Image"] for each in containers if "Image" in each),
        weights=frozenset(each["ModelDataUrl"] for each in containers if "ModelDataUrl" in each),
    )


def _models_of(config: str, aws: Aws) -> Iterator[str]:
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config)
    if found is None:
        raise _unknown(f"endpoint config {config}")
    for variant in (*found.get("ProductionVariants", []), *found.get("ShadowProductionVariants", [])):
        if "ModelName" in variant:
            yield variant["ModelName"]


def _containers_of(model: str, aws: Aws) -> list[dict[str, Any]]:
    found = aws.find("sagemaker", "describe_model", ModelName=model)
    if found is None:
        raise _unknown(f"model {model}")
    return [each for each in (found.get("PrimaryContainer"), *found.get("Containers", [])) if each]


def _unknown(what: str) -> ReleaseError:
    return ReleaseError(
        f"An endpoint serves {what}, which is gone: what it needs cannot be known, and nothing is deleted.",
        fix="Deploy to that endpoint again, or delete it; then run the same command again.",
    )


def _ours(
    envs: Sequence[Environment], aws: Aws, operation: str, member: str, name: str
) -> dict[str, datetime]:
    """Those whose names were derived from an environment's endpoint, or from the one that measures it."""
    suffixes = ("", CAPACITY_SUFFIX, BASELINE_SUFFIX)
    owners = {f"{env.endpoint.name}{suffix}" for env in envs for suffix in suffixes}
    listed = aws.pages("sagemaker", operation, member)
    return {each[name]: each["CreationTime"] for each in listed if prefix_of(each[name]) in owners}


def _objects(bucket: str, prefix: str, aws: Aws) -> dict[str, datetime]:
    listed = aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
    return {each["Key"]: each["LastModified"] for each in listed}
