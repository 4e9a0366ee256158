"""Plan the deletion of unreferenced models, configs, images, weights and golden sets (pure); `collect.py` makes the calls.

Kept are the releases that any endpoint of the account serves or is changing to, the last releases of every
environment, to which it can be rolled back, and young resources: a deployment may be about to use them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.aws.calls import Call
from pipeline.config import AwsPlace
from pipeline.names import release_of
from pipeline.release import Release
from pipeline.state.records import DeploymentRecord

IMAGES_AT_ONCE = 100  # BatchDeleteImage takes no more
ALARMS_AT_ONCE = 100  # nor does DeleteAlarms


@dataclass(frozen=True)
class InUse:
    """The references of all endpoints of an account: names of configs and models, image and weights URIs."""

    configs: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    weights: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inventory:
    """The releases of an account and their resources, each with the time at which it was made.

    `deployed`: the records of each environment, oldest first. `images` by digest. `weights`, `golden` and `manifests` by key.
    """

    served: InUse = InUse()
    deployed: Mapping[str, Sequence[DeploymentRecord]] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    configs: Mapping[str, datetime] = field(default_factory=dict)
    models: Mapping[str, datetime] = field(default_factory=dict)
    images: Mapping[str, datetime] = field(default_factory=dict)
    weights: Mapping[str, datetime] = field(default_factory=dict)
    golden: Mapping[str, datetime] = field(default_factory=dict)
    manifests: Mapping[str, datetime] = field(default_factory=dict)
    alarms: Sequence[str] = ()


@dataclass(frozen=True)
class Rule:
    """The number of releases that stay in each environment, and the age from which resources are deleted."""

    releases: int
    before: datetime

    @classmethod
    def of(cls, releases: int, days: int, now: datetime) -> "Rule":
        return cls(releases, now - timedelta(days=days))


def kept_releases(stock: Inventory, rule: Rule) -> frozenset[str]:
    """Return the ids of all releases to keep."""
    kept = {release for name in stock.served.configs | stock.served.models if (release := release_of(name))}
    for records in stock.deployed.values():
        newest_first = dict.fromkeys(record.release for record in reversed(records))
        kept.update(list(newest_first)[: rule.releases])
    kept.update(each.id for each in stock.releases.values() if each.created >= rule.before)
    return frozenset(kept)


def plan_collection(place: AwsPlace, stock: Inventory, rule: Rule) -> tuple[Call, ...]:
    """List the deletions: a resource before those that it references, a release's manifest last."""
    kept = kept_releases(stock, rule)
    needed = [release for release in stock.releases.values() if release.id in kept]
    digests = {release.image.digest for release in needed} | {_digest(uri) for uri in stock.served.images}
    uris = {release.weights.uri for release in needed} | stock.served.weights
    configs = [
        name
        for name in _old(stock.configs, rule)
        if release_of(name) not in kept and name not in stock.served.configs
    ]
    models = [
        name
        for name in _old(stock.models, rule)
        if release_of(name) not in kept and name not in stock.served.models
    ]
    images = [digest for digest in _old(stock.images, rule) if digest not in digests]
    weights = [key for key in _old(stock.weights, rule) if f"s3://{place.bucket}/{key}" not in uris]
    sets = {release.golden.uri for release in needed if release.golden is not None}
    golden = [key for key in _old(stock.golden, rule) if f"s3://{place.bucket}/{key}" not in sets]
    manifests = [
        key
        for key in _old(stock.manifests, rule)
        if _release_of_key(key) not in kept and _release_of_key(key) in stock.releases
    ]
    alarms = [name for name in stock.alarms if _config_of_alarm(name) in configs]
    return (
        *_sagemaker("delete_endpoint_config", "EndpointConfigName", configs),
        *_sagemaker("delete_model", "ModelName", models),
        *_alarms(alarms),
        *_images(place, images),
        *_objects(place, [*weights, *golden, *manifests]),
    )


def _old(made: Mapping[str, datetime], rule: Rule) -> list[str]:
    return sorted(name for name, at in made.items() if at < rule.before)


def _digest(image_uri: str) -> str:
    return image_uri.partition("@")[2]


def _release_of_key(key: str) -> str:
    """`releases/<id>/release.json` → id."""
    return key.split("/")[1]


def _config_of_alarm(name: str) -> str:
    """`<endpoint>/<config>/<what>` → config."""
    return name.split("/")[1] if "/" in name else ""


def _sagemaker(operation: str, member: str, names: Sequence[str]) -> Iterator[Call]:
    for name in names:
        yield Call("sagemaker", operation, {member: name}, f"{operation.replace('_', ' ')} {name}")


def _alarms(names: Sequence[str]) -> Iterator[Call]:
    for start in range(0, len(names), ALARMS_AT_ONCE):
        some = list(names[start : start + ALARMS_AT_ONCE])
        yield Call("cloudwatch", "delete_alarms", {"AlarmNames": some}, f"delete {len(some)} alarms")


def _images(place: AwsPlace, digests: Sequence[str]) -> Iterator[Call]:
    for start in range(0, len(digests), IMAGES_AT_ONCE):
        some = [{"imageDigest": digest} for digest in digests[start : start + IMAGES_AT_ONCE]]
        params = {"repositoryName": place.repository, "imageIds": some}
        says = f"delete {len(some)} images of {place.repository}: {', '.join(d[7:19] for d in digests[start : start + IMAGES_AT_ONCE])}"
        yield Call("ecr", "batch_delete_image", params, says)


def _objects(place: AwsPlace, keys: Sequence[str]) -> Iterator[Call]:
    for key in keys:
        says = f"delete s3://{place.bucket}/{key}"
        yield Call("s3", "delete_object", {"Bucket": place.bucket, "Key": key}, says)
