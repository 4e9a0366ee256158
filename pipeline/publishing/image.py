"""The image: built once per content of container/ and golden/, pushed once, identified by its digest."""

import base64
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.aws import AwsClient
from pipeline.errors import BuildFailed, ConfigError
from pipeline.publishing.image_target import ORDINARY, ImageTarget, require_architecture
from pipeline.publishing.pushed_images import builds_of, newest_usable, require_usable
from pipeline.publishing.supply_chain import Origin, provenance, sbom_key, store_provenance, store_sbom
from pipeline.release import Image
from pipeline.run import Run

log = logging.getLogger(__name__)

CONTAINER = Path("container")
MADE_OF = (CONTAINER, Path("golden"))
NOT_BUILT_IN = frozenset({"local_test", "__pycache__"})  # and whatever begins with a dot
BUILD_TIMEOUT_SECONDS = 3600
BUILT = "build and push image"  # the call that only the run records whose build is in ECR


def build_files(top: Path = Path()) -> Iterator[Path]:
    """Yield the files that the image is made of, sorted by their path within the repository at `top`."""
    found = (path for folder in MADE_OF for path in (top / folder).rglob("*"))
    for path in sorted(found, key=lambda path: path.relative_to(top).as_posix()):
        parts = path.relative_to(top).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not hidden and not NOT_BUILT_IN.intersection(parts):
            yield path


def source_hash(top: Path = Path(), packages: str | None = None, target: ImageTarget = ORDINARY) -> str:
    """Return the sha256 (64 hex) of names, contents and executable bits of the build's files, and of its target.

    `packages`: the requirements file of packages that the config adds to the image. Raises ConfigError.
    """
    total = hashlib.sha256()
    files = list(build_files(top))
    if not files:
        raise ConfigError(
            f"There is nothing to build in {top / CONTAINER}/.", fix="Run this at the top of the repository."
        )
    for path in files:
        name = path.relative_to(top).as_posix()
        kind = "x" if os.access(path, os.X_OK) else "-"
        total.update(f"{name}\0{kind}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    if packages is not None:
        total.update(b"packages\0" + _read_packages(Path(packages)))
    if target.in_hash:
        total.update(f"target\0{target.in_hash}".encode())
    return total.hexdigest()


def _read_packages(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The packages {path} cannot be read: {error.strerror}.",
            fix="Name a requirements file by --packages, or by `packages:` of the config.",
        ) from error


def publish_image(
    run: Run,
    origin: Origin,
    *,
    engine: bool,
    sbom: bool,
    rebuild: bool = False,
    instance_type: str | None = None,
) -> Image:
    """Make sure that the image of these sources is in ECR and return it by digest; an existing tag is not built again.

    `rebuild`: build all layers anew, for the base system's security fixes, under a tag of its own; from then on
    this newer image is the one of these sources. Without an engine the source hash stands for the digest, and the image
    says so. The SBOM of a new image is in S3 before the image is in ECR: an image without one was published with
    --no-sbom. `instance_type`: what the image is for; None: the endpoint's.
    """
    packages, target = run.env.packages, ImageTarget.of(instance_type or run.env.endpoint.instance_type)
    sources = source_hash(packages=packages, target=target)
    tag = sources[:40]
    repository = repository_uri(run)
    builds = builds_of(tag, run.aws)
    newest = newest_usable(builds)
    built_for: dict[str, Any] = {"architecture": target.architecture, "cuda": target.cuda}
    if newest is not None and not rebuild:
        tag, digest = newest.tag, newest.digest
        log.info(f"image {tag[:12]} is in ECR already: nothing built")
    elif engine:
        tag = tag if not builds else f"{tag}-{datetime.fromtimestamp(run.clock.now(), UTC):%Y%m%d%H%M%S}"
        reference = f"{repository}:{tag}"
        _build(reference, origin, packages, target, fresh=rebuild)
        digest = _pushed(reference, tag, run.aws, sbom=sbom)
        if newest is not None and newest.digest == digest:
            log.info(f"the rebuild equals the image of {newest.tag}: no fix has come out since")
    else:
        log.info("no engine: the hash of the sources stands in for the image digest")
        return Image(
            uri=f"{repository}:{tag}", digest=f"sha256:{sources}", tag=tag, is_source_hash=True, **built_for
        )
    statement = provenance(repository, digest, sources, origin)
    return Image(
        uri=f"{repository}@{digest}",
        digest=digest,
        tag=tag,
        is_source_hash=False,
        sbom=_stored_sbom(tag, run.aws),
        provenance=store_provenance(statement, tag, run.aws),
        **built_for,
    )


def _pushed(reference: str, tag: str, aws: AwsClient, *, sbom: bool) -> str:
    """Store the SBOM of a built image in S3, push it, and return its digest in ECR."""
    if sbom:
        store_sbom(reference, tag, aws)
    if push_unless_there(reference, tag, aws):
        aws.made.append(f"{BUILT} {reference}")
    pushed = [each for each in builds_of(tag, aws) if each.tag == tag]
    if not pushed:
        raise BuildFailed(f"{reference} was pushed, but ECR does not know it.", fix="Publish again.")
    require_usable(pushed[0], reference)
    return pushed[0].digest


def _stored_sbom(tag: str, aws: AwsClient) -> str | None:
    bucket, key = aws.place.bucket, sbom_key(tag)
    found = aws.find("s3", "head_object", Bucket=bucket, Key=key)
    return None if found is None else f"s3://{bucket}/{key}"


def repository_uri(run: Run) -> str:
    """Return the address of the ECR repository. Raises ConfigError before bootstrap has made it."""
    name = run.aws.place.repository
    found = run.aws.find("ecr", "describe_repositories", repositoryNames=[name])
    if found is None:
        raise ConfigError(
            f"There is no ECR repository '{name}'.",
            fix=f"Run `python -m pipeline bootstrap --env {run.env.name}`.",
        )
    return str(found["repositories"][0]["repositoryUri"])


def _last_change() -> str | None:
    """Return the last commit that changed the sources: a later one makes the same image, label for label."""
    words = ["git", "log", "-1", "--format=%H", "--", *map(str, MADE_OF)]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or None


def _build(reference: str, origin: Origin, packages: str | None, target: ImageTarget, *, fresh: bool) -> None:
    words = [str(CONTAINER / "build"), "--tag", reference, *target.options]
    words += ["--no-cache"] if fresh else []
    words += ["--packages", packages] if packages else []
    words += ["--revision", _last_change() or origin.commit] if origin.commit else []
    words += ["--source", origin.run_url.split("/actions/")[0]] if origin.run_url else []
    log.info(f"build {reference}")
    _run(words, os.environ, "Read the build's output above; run container/build to repeat it.")
    require_architecture(reference, _architecture(reference), target)


def _architecture(reference: str) -> str:
    """Return the architecture of an image in the engine. Raises BuildFailed."""
    words = [_docker(), "image", "inspect", "--format", "{{.Architecture}}", reference]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(
            f"{reference} is not in the engine: {done.stderr.strip()}", fix="Read the build's output above."
        )
    return done.stdout.strip()


def push_unless_there(reference: str, tag: str, aws: AwsClient) -> bool:
    """Push the image and return True; False when another run has pushed the same sources meanwhile.

    Tags are immutable, and two builds of the same sources may differ in digest: the first one pushed wins.
    Raises BuildFailed when the push fails and ECR does not have the tag.
    """
    try:
        _push(reference, aws)
    except BuildFailed:
        if not any(each.tag == tag for each in builds_of(tag, aws)):
            raise
        log.info(f"image {tag[:12]} was pushed by another run meanwhile: that one is taken")
        return False
    return True


def _push(reference: str, aws: AwsClient) -> None:
    """Push with a temporary DOCKER_CONFIG, so that no login remains in the user's."""
    authorization = aws.read("ecr", "get_authorization_token")["authorizationData"][0]
    token = authorization["authorizationToken"]
    if b":" not in base64.b64decode(token):
        raise BuildFailed("ECR's authorization token is not user:password.", fix="Check the credentials.")
    registry = authorization["proxyEndpoint"].partition("://")[2]
    with tempfile.TemporaryDirectory(prefix="docker-config-") as scratch:
        config = {"auths": {registry: {"auth": token}}}
        Path(scratch, "config.json").write_text(json.dumps(config))
        log.info(f"push {reference}")
        environ = {**os.environ, "DOCKER_CONFIG": scratch}
        _run([_docker(), "push", reference], environ, "Check that the registry can be reached.")


def _docker() -> str:
    found = shutil.which("docker")
    if found is None:
        raise BuildFailed(
            "There is no docker command.",
            fix="Install an engine, or publish with --no-engine where instances are processes.",
        )
    return found


def _run(words: list[str], environ: Mapping[str, str], fix: str) -> None:
    """Run a program and log each line that it prints. Raises BuildFailed with its last lines."""
    tail: list[str] = []
    try:
        with subprocess.Popen(
            words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                log.info(f"  {line.rstrip()}")
                tail = [*tail[-14:], line.rstrip()]
            code = process.wait(BUILD_TIMEOUT_SECONDS)
    except OSError as error:
        raise BuildFailed(f"{words[0]} cannot be started: {error}", fix=fix) from error
    if code != 0:
        text = "\n".join(tail)
        raise BuildFailed(f"`{' '.join(words[:3])} …` ended with exit code {code}:\n{text}", fix=fix)
