"""Publish a release: image to ECR, weights to S3, one immutable manifest of both."""

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.ci import github_run_url
from pipeline.config import Environment
from pipeline.errors import AwsRefused
from pipeline.publishing.compatibility import labels_of, require_compatible
from pipeline.publishing.golden_sets import log_golden, must_be_added, read_file, store_file
from pipeline.publishing.image import CONTAINER, MADE_OF, publish_image, repository_uri
from pipeline.publishing.image_target import ImageTarget
from pipeline.publishing.model_registry import package_of
from pipeline.publishing.scan import require_scanned
from pipeline.publishing.supply_chain import Origin
from pipeline.publishing.upload import WRITTEN_BY_ANOTHER
from pipeline.publishing.weights import sync_weights
from pipeline.release import MANIFEST, GoldenRecord, Release, make_release
from pipeline.release_store.golden import no_golden
from pipeline.release_store.manifests import (
    added_golden_key,
    fetch_release,
    published_release,
    release_key,
)
from pipeline.run import Run

log = logging.getLogger(__name__)

MOST_METRICS = 40  # of the Model Registry's 50 properties


def publish(
    run: Run,
    *,
    weights: str | None = None,
    golden: str | None = None,
    unchecked: bool = False,
    engine: bool = True,
    sbom: bool = True,
    rebuild: bool = False,
) -> Release:
    """Publish image and weights and return the release; the same content is the same release.

    Writes `<build>/release.json` and, once, s3://<bucket>/releases/<id>/release.json, and registers
    the release in the Model Registry, once. `weights`, `golden`: instead of the config's; without either, the golden
    set is the archive's. `unchecked`: go on without one. Raises ReleaseError when there is none or another one than the
    release was published with, or when weights and image do not fit; ScanNotPassed for ECR's findings in the image.
    """
    repository_uri(run)  # before anything is sent
    source, golden = weights or run.env.weights, golden or run.env.golden
    named_by_config = (each for each in (source, run.env.packages) if each is not None)
    origin = origin_of(*MADE_OF, *map(Path, named_by_config))
    if origin.dirty:
        log.warning(f"uncommitted edits: this release is not what commit {(origin.commit or '?')[:12]} makes")
    named = None if golden is None else read_file(golden)

    def accept(in_archive: GoldenRecord | None) -> None:
        if in_archive is None and named is None and not unchecked:
            raise no_golden(source, run.env.name)

    synced = sync_weights(source, run.aws, accept=accept)
    image = publish_image(run, origin, engine=engine, sbom=sbom, rebuild=rebuild)
    require_scanned(image, run)
    if synced.weights.fits is not None:
        require_compatible(
            synced.weights.fits, labels_of(CONTAINER, ImageTarget.of(run.env.endpoint.instance_type).variant)
        )
    judged_by = synced.golden if golden is None or named == synced.golden else store_file(golden, run.aws)
    release = make_release(
        image,
        synced.weights,
        commit=origin.commit,
        dirty=origin.dirty,
        run_url=origin.run_url,
        golden=judged_by,
        unchecked=judged_by is None,
    )
    release = _keep(release, synced.golden, run)
    log_golden(release, run.env.name)
    _register(release, run)
    release.save(run.build / MANIFEST)
    log.info(f"release {release.id} → {run.build / MANIFEST}")
    return release


def git_commit(directory: Path = Path(), made_of: Sequence[Path] = ()) -> tuple[str | None, bool]:
    """Return the commit and whether there are uncommitted edits; (None, False) outside a git checkout.

    `made_of`: only edits of these paths count, of those that exist; none: every edit counts.
    """
    head = _git(directory, "rev-parse", "HEAD")
    if head is None:
        return None, False
    top = Path(_git(directory, "rev-parse", "--show-toplevel") or directory).resolve()
    within = [str(path.resolve()) for path in made_of if path.resolve().is_relative_to(top)]
    if made_of and not within:
        return head, False
    return head, bool(_git(directory, "status", "--porcelain", "--", *within))


def origin_of(*made_of: Path) -> Origin:
    """Return the origin of a build from these paths."""
    commit, dirty = git_commit(made_of=made_of)
    return Origin(commit, dirty, github_run_url())


def _git(directory: Path, *words: str) -> str | None:
    try:
        answer = subprocess.run(["git", *words], cwd=directory, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _keep(release: Release, in_archive: GoldenRecord | None, run: Run) -> Release:
    """Write the manifest once; a second run returns the existing one, with a golden set if it had none before."""
    if fetch_release(release.id, run.aws) is None:
        _put_once(release_key(release.id), release.document(), run.aws)
    else:
        log.info(f"release {release.id} was published before: its manifest stays")
    stored = published_release(release.id, run.aws)
    if must_be_added(stored, release, in_archive, run.env.name) and release.golden is not None:
        _put_once(added_golden_key(release.id), release.golden.document(), run.aws)
        stored = published_release(release.id, run.aws)
        must_be_added(stored, release, in_archive, run.env.name)  # raises when another publish was first
    return stored


def _put_once(key: str, document: object, aws: AwsClient) -> None:
    """Write a document of a release, unless another publish of the same content was first."""
    try:
        aws.put_json(key, document, only_if_new=True)
    except AwsRefused as error:
        if error.code not in WRITTEN_BY_ANOTHER:
            raise


def _register(release: Release, run: Run) -> None:
    if package_of(release.id, run.aws) is not None:
        return
    _put_once(metrics_key(release.id), release.weights.metrics, run.aws)
    call = plan_registration(release, run.env)
    run.apply([call])


def metrics_key(release_id: str) -> str:
    """Return the key of the metrics of training, for the Model Registry."""
    return f"releases/{release_id}/metrics.json"


def plan_registration(release: Release, env: Environment) -> Call:
    """Register a release as one model package version, found again by its description."""
    group = env.aws.model_package_group
    measured = f"s3://{env.aws.bucket}/{metrics_key(release.id)}"
    container = {"Image": release.image.uri, "ModelDataUrl": release.weights.uri}
    metadata = {"release": release.id, "commit": release.commit, "run": release.run_url}
    metrics = sorted(release.weights.metrics.items())[:MOST_METRICS]
    metadata |= {name: f"{value:g}" for name, value in metrics}
    params = {
        "ModelPackageGroupName": group,
        "ClientToken": release.id,  # of two publishes at once, AWS answers the second with the first's package
        "ModelPackageDescription": f"release {release.id}",
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": _media_types(release.golden.takes if release.golden else ()),
            "SupportedResponseMIMETypes": _media_types(release.golden.gives if release.golden else ()),
        },
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": measured}}
        },
        "CustomerMetadataProperties": {key: value for key, value in metadata.items() if value},
    }
    return Call("sagemaker", "create_model_package", params, f"register {release.id} in model group {group}")


def _media_types(golden: Sequence[str]) -> list[str]:
    """Return the media types of the golden cases; JSON where they name none."""
    return list(golden) or ["application/json"]
