"""Copy a release to the account that it is promoted to: image, weights, golden set, evidence and manifest.

The environment serves its own copies. Each is compared with its digest; what is there already is not sent again.
"""

import hashlib
import logging
import tempfile
from pathlib import Path

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.aws.s3_objects import object_at
from pipeline.config import AwsPlace, Environment
from pipeline.errors import ReleaseError
from pipeline.model import Model
from pipeline.publishing.digests import digests_of
from pipeline.publishing.image import repository_uri
from pipeline.publishing.image_copy import Repository, copy_image
from pipeline.publishing.publish import put_once, register
from pipeline.publishing.upload import ONCE, Upload, is_there
from pipeline.release import MANIFEST, Release
from pipeline.release_store.golden import fetch_object
from pipeline.release_store.manifests import (
    added_golden_key,
    fetch_release,
    published_release,
    release_key,
)
from pipeline.release_store.relocation import relocated
from pipeline.run import Run
from pipeline.verification.evidence import evidence_key

log = logging.getLogger(__name__)


class ReplicateResult(Model):
    """The calls that copied a release; none where both environments use one bucket, or everything was there."""

    release: str
    source: str  # the environment before
    copied: tuple[str, ...] = ()


def is_elsewhere(one: AwsPlace, other: AwsPlace) -> bool:
    """Say whether two environments have another account, Region, bucket or repository, so that releases are copied."""
    names = ("account_id", "region", "bucket", "repository")
    return any(getattr(one, name) != getattr(other, name) for name in names)


def replicate(release_id: str, run: Run, before: Environment) -> ReplicateResult:
    """Copy a release from the environment `before` to the one of `run`, with the latter's credentials.

    BUILD/release.json is the copy's manifest afterwards.
    Raises ReleaseError when there is no such release, or a copy differs; AwsRefused where a policy of either side
    does not let this role read.
    """
    result = ReplicateResult(release=release_id, source=before.name)
    if not is_elsewhere(before.aws, run.env.aws):
        log.info(f"{run.env.name} uses the bucket of {before.name}: nothing to copy")
        return result
    source, first = AwsClient(before.aws, clock=run.clock), len(run.aws.made)
    found = published_release(release_id, source)
    here = relocated(found, run.env.aws, repository_uri(run))
    _copy_image(found, here, source, run)
    _copy_weights(found, here, source, run)
    if found.golden and here.golden and found.golden.uri:
        _copy_once(found.golden.uri, source, run.aws, sha256=found.golden.sha256)
    for uri in filter(None, (found.image.sbom, found.image.provenance)):
        _copy_once(uri, source, run.aws)
    _copy_evidence(release_id, before.name, source, run)
    _keep_manifest(here, run.aws)
    register(here, run)
    fetched = published_release(release_id, run.aws)
    fetched.save(run.build / MANIFEST)
    copied = tuple(run.aws.made[first:])
    log.info(f"{release_id} is in {run.env.aws.account_id}, {run.env.aws.region}: {len(copied)} calls made")
    return result.model_copy(update={"copied": copied})


def _copy_image(found: Release, here: Release, source: AwsClient, run: Run) -> None:
    """Copy the image by its digest; a release without an engine has none."""
    image, name = found.image, run.env.aws.repository
    if image.is_source_hash:
        return
    digest = [{"imageDigest": image.digest}]
    there = run.aws.find("ecr", "describe_images", repositoryName=name, imageIds=digest)
    if there and there["imageDetails"]:
        return
    run.aws.before_write()
    from_there = Repository.of(image.uri.partition("@")[0], source)
    sent = copy_image(
        from_there, Repository.of(here.image.uri.partition("@")[0], run.aws), image.digest, image.tag
    )
    run.aws.made.append(f"copy image {image.digest[:19]}…, {sent:,} bytes")
    log.info(run.aws.made[-1])


def _copy_weights(found: Release, here: Release, source: AwsClient, run: Run) -> None:
    """Send the weights in the parts in which publish sends them, so that S3's checksum is the same."""
    weights, where = found.weights, object_at(here.weights.uri)
    if weights.checksum and is_there(where, weights.checksum, weights.bytes, run.aws):
        return
    with tempfile.TemporaryDirectory(prefix="weights-") as scratch:
        path = fetch_object(weights.uri, source, Path(scratch))
        digests = digests_of(path)
        if digests.sha256 != weights.sha256:
            raise _differs(weights.uri, found.id)
        says = f"copy weights {weights.sha256[:8]}, {weights.bytes:,} bytes"
        log.info(says)
        Upload(path, where, digests, run.aws, says).send()


def _copy_once(uri: str, source: AwsClient, aws: AwsClient, sha256: str | None = None) -> None:
    """Copy a small object whose key names its content, unless the key has one."""
    key = object_at(uri)["Key"]
    there = {"Bucket": aws.place.bucket, "Key": key}
    if aws.find("s3", "head_object", **there) is not None:
        return
    with tempfile.TemporaryDirectory(prefix="object-") as scratch:
        body = fetch_object(uri, source, Path(scratch)).read_bytes()
    if sha256 is not None and hashlib.sha256(body).hexdigest() != sha256:
        raise _differs(uri, key)
    aws.apply(Call("s3", "put_object", {**there, "Body": body, **ONCE}, f"copy {uri}"))


def _copy_evidence(release_id: str, environment: str, source: AwsClient, run: Run) -> None:
    """Copy the newest evidence: a release may be verified again."""
    key = evidence_key(release_id, environment)
    evidence = source.get_json(key)
    if evidence is None:
        log.warning(f"{release_id} was not verified in {environment}: `promote` will refuse it")
    elif run.aws.get_json(key) != evidence:
        run.aws.put_json(key, evidence)


def _keep_manifest(here: Release, aws: AwsClient) -> None:
    """Write the manifest once, when everything that it names is there; later a golden set that was added since."""
    stored = fetch_release(here.id, aws)
    if stored is None:
        put_once(release_key(here.id), here.document(), aws)
    elif stored.unchecked and here.golden is not None:
        put_once(added_golden_key(here.id), here.golden.document(), aws)


def _differs(uri: str, what: str) -> ReleaseError:
    return ReleaseError(
        f"{uri} differs from what {what} was published with.",
        fix="Restore the object from the bucket's versions; publish replaces none that is there.",
    )
