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
from pipeline.publishing.image import CONTAINER, MADE_OF, publish_image
from pipeline.publishing.model_registry import package_of
from pipeline.publishing.scan import require_scanned
from pipeline.publishing.supply_chain import Origin
from pipeline.publishing.upload import WRITTEN_BY_ANOTHER
from pipeline.publishing.weights import sync_weights
from pipeline.release import MANIFEST, Release, make_release
from pipeline.release_store.manifests import fetch_release, published_release, release_key
from pipeline.run import Run

log = logging.getLogger(__name__)

MOST_METRICS = 40  # of the Model Registry's 50 properties


def publish(
    run: Run,
    *,
    weights: str | None = None,
    engine: bool = True,
    sbom: bool = True,
    rebuild: bool = False,
) -> Release:
    """Publish image and weights and return the release; the same content is the same release.

    Writes `<build>/release.json` and, once, s3://<bucket>/releases/<id>/release.json, and registers
    the release in the Model Registry, once. Raises ReleaseError when weights and image do not fit,
    ScanNotPassed for ECR's findings in the image.
    """
    source = weights or run.env.weights
    origin = origin_of(*MADE_OF, Path(source))
    if origin.dirty:
        log.warning(f"uncommitted edits: this release is not what commit {(origin.commit or '?')[:12]} makes")
    image = publish_image(run, origin, engine=engine, sbom=sbom, rebuild=rebuild)
    require_scanned(image, run)
    synced = sync_weights(source, run.aws)
    if synced.fits is not None:
        require_compatible(synced.fits, labels_of(CONTAINER))
    release = make_release(image, synced, commit=origin.commit, dirty=origin.dirty, run_url=origin.run_url)
    release = _keep(release, run.aws)
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


def _keep(release: Release, aws: AwsClient) -> Release:
    """Write the manifest once; a second run returns the existing one."""
    stored = fetch_release(release.id, aws)
    if stored is None:
        _put_once(release_key(release.id), release.document(), aws)
        stored = published_release(release.id, aws)
    else:
        log.info(f"release {release.id} was published before: its manifest stays")
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
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": measured}}
        },
        "CustomerMetadataProperties": {key: value for key, value in metadata.items() if value},
    }
    return Call("sagemaker", "create_model_package", params, f"register {release.id} in model group {group}")
