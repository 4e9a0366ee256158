"""The image: built once per content of container/, pushed once, known by its digest."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.aws import Aws
from pipeline.errors import BuildFailed, ConfigError
from pipeline.publishing.supply_chain import provenance, sbom_key, store_provenance, store_sbom
from pipeline.release import Image
from pipeline.state.records import Say

CONTAINER = Path("container")
NOT_BUILT_IN = frozenset({"local_test", "__pycache__"})  # and whatever begins with a dot
BUILD_TIMEOUT_SECONDS = 3600
PUBLISHED_TAG = re.compile(r"[0-9a-f]{40}(-\d{14})?")  # hash of the sources; of a rebuild, also when it began
BUILT = "build and push image"  # the call that only the run records whose build is in ECR


def build_files(container: Path = CONTAINER) -> Iterator[Path]:
    """Yield the files that the image is made of, sorted by their path within `container`."""
    for path in sorted(container.rglob("*"), key=lambda path: path.relative_to(container).as_posix()):
        parts = path.relative_to(container).parts
        hidden = any(part.startswith(".") and part != ".dockerignore" for part in parts)
        if path.is_file() and not hidden and not NOT_BUILT_IN.intersection(parts):
            yield path


def source_hash(container: Path = CONTAINER) -> str:
    """Return the sha256 (64 hex) of names, contents and executable bits of the build's files."""
    total = hashlib.sha256()
    files = list(build_files(container))
    if not files:
        raise ConfigError(
            f"There is nothing to build in {container}/.", fix="Run this at the top of the repository."
        )
    for path in files:
        name = path.relative_to(container).as_posix()
        kind = "x" if os.access(path, os.X_OK) else "-"
        total.update(f"{name}\0{kind}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


@dataclass(frozen=True)
class Origin:
    """Where a build comes from. `dirty`: there are uncommitted edits in what it is made of."""

    commit: str | None = None
    dirty: bool = False
    run_url: str | None = None


def publish_image(
    aws: Aws, origin: Origin, *, engine: bool, sbom: bool, say: Say, rebuild: bool = False
) -> Image:
    """Have the image of container/ in ECR and return it by digest; a tag that exists is not built again.

    `rebuild`: build all layers anew, for the base system's security fixes, under a tag of its own. From then on
    this newer image is the one of these sources. Without an engine the source hash stands in for the digest, and
    the image says so. What a new image is made of is in S3 before the image is in ECR: an image without its list
    was published so.
    """
    sources = source_hash()
    tag = sources[:40]
    repository = _repository_uri(aws)
    newest = _newest_build(tag, aws)
    if newest is not None and not rebuild:
        tag, digest = newest
        say(f"image {tag[:12]} is in ECR already: nothing built")
    elif engine:
        tag = tag if newest is None else f"{tag}-{datetime.now(UTC):%Y%m%d%H%M%S}"
        reference = f"{repository}:{tag}"
        digest = _built_and_pushed(reference, tag, origin, aws, sbom=sbom, say=say, fresh=rebuild)
        if newest is not None and newest[1] == digest:
            say(f"the rebuild equals the image of {newest[0]}: no fix has come out since")
    else:
        say("no engine: the hash of container/'s sources stands in for the image digest")
        return Image(uri=f"{repository}:{tag}", digest=f"sha256:{sources}", tag=tag, stand_in=True)
    statement = provenance(
        repository,
        digest,
        sources=sources,
        commit=origin.commit,
        dirty=origin.dirty,
        run_url=origin.run_url,
    )
    return Image(
        uri=f"{repository}@{digest}",
        digest=digest,
        tag=tag,
        stand_in=False,
        sbom=_stored_sbom(tag, aws),
        provenance=store_provenance(statement, tag, aws),
    )


def _built_and_pushed(
    reference: str, tag: str, origin: Origin, aws: Aws, *, sbom: bool, say: Say, fresh: bool
) -> str:
    """Build the image, say in S3 what it is made of, push it, and return the digest that ECR has then."""
    _build(reference, origin, say, fresh=fresh)
    if sbom:
        store_sbom(reference, tag, aws, say)
    if push_unless_there(reference, tag, aws, say):
        aws.made.append(f"{BUILT} {reference}")
    digest = _digest(tag, aws)
    if digest is None:
        raise BuildFailed(f"{reference} was pushed, but ECR does not know it.", fix="Publish again.")
    return digest


def _stored_sbom(tag: str, aws: Aws) -> str | None:
    bucket, key = aws.env.aws.bucket, sbom_key(tag)
    found = aws.find("s3", "head_object", Bucket=bucket, Key=key)
    return None if found is None else f"s3://{bucket}/{key}"


def _repository_uri(aws: Aws) -> str:
    name = aws.env.aws.repository
    found = aws.find("ecr", "describe_repositories", repositoryNames=[name])
    if found is None:
        raise ConfigError(
            f"There is no ECR repository '{name}'.",
            fix=f"Run `python -m pipeline bootstrap --env {aws.env.name}`.",
        )
    return str(found["repositories"][0]["repositoryUri"])


def _newest_build(tag: str, aws: Aws) -> tuple[str, str] | None:
    """Return tag and digest of the image that was pushed last of these sources; None when there is none."""
    images = aws.pages("ecr", "describe_images", "imageDetails", repositoryName=aws.env.aws.repository)
    builds = [
        (each["imagePushedAt"], built, str(each["imageDigest"]))
        for each in images
        for built in each.get("imageTags", [])
        if PUBLISHED_TAG.fullmatch(built) and built.startswith(tag)
    ]
    return max(builds)[1:] if builds else None


def _digest(tag: str, aws: Aws) -> str | None:
    found = aws.find(
        "ecr", "describe_images", repositoryName=aws.env.aws.repository, imageIds=[{"imageTag": tag}]
    )
    return str(found["imageDetails"][0]["imageDigest"]) if found and found["imageDetails"] else None


def _build(reference: str, origin: Origin, say: Say, *, fresh: bool) -> None:
    words = [str(CONTAINER / "build"), "--tag", reference, *(["--no-cache"] if fresh else [])]
    words += ["--revision", origin.commit] if origin.commit else []
    words += ["--source", origin.run_url.split("/actions/")[0]] if origin.run_url else []
    say(f"build {reference}")
    _run(words, os.environ, "Read the build's output above; container/build can be run by itself.", say)


def push_unless_there(reference: str, tag: str, aws: Aws, say: Say) -> bool:
    """Push the image and return True; False when another run has pushed the same sources in the meantime.

    Tags are immutable, and two builds of the same sources may differ in digest: the first one pushed wins.
    Raises BuildFailed when the push fails and ECR does not have the tag.
    """
    try:
        _push(reference, aws, say)
    except BuildFailed:
        if _digest(tag, aws) is None:
            raise
        say(f"image {tag[:12]} was pushed by another run meanwhile: that one is taken")
        return False
    return True


def _push(reference: str, aws: Aws, say: Say) -> None:
    """Push with a DOCKER_CONFIG of its own, so that no login is left in the user's."""
    authorization = aws.read("ecr", "get_authorization_token")["authorizationData"][0]
    token = authorization["authorizationToken"]
    if b":" not in base64.b64decode(token):
        raise BuildFailed("ECR's authorization token is not user:password.", fix="Check the credentials.")
    registry = authorization["proxyEndpoint"].partition("://")[2]
    with tempfile.TemporaryDirectory(prefix="docker-config-") as scratch:
        config = {"auths": {registry: {"auth": token}}}
        Path(scratch, "config.json").write_text(json.dumps(config))
        say(f"push {reference}")
        environ = {**os.environ, "DOCKER_CONFIG": scratch}
        _run([_docker(), "push", reference], environ, "Check that the registry can be reached.", say)


def _docker() -> str:
    found = shutil.which("docker")
    if found is None:
        raise BuildFailed(
            "There is no docker command.",
            fix="Install an engine, or publish with --no-engine where instances are processes.",
        )
    return found


def _run(words: list[str], environ: Mapping[str, str], fix: str, say: Say) -> None:
    """Run a program, passing on each line it prints. Raises BuildFailed with its last lines."""
    tail: list[str] = []
    try:
        with subprocess.Popen(
            words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                say(f"  {line.rstrip()}")
                tail = [*tail[-14:], line.rstrip()]
            code = process.wait(BUILD_TIMEOUT_SECONDS)
    except OSError as error:
        raise BuildFailed(f"{words[0]} cannot be started: {error}", fix=fix) from error
    if code != 0:
        text = "\n".join(tail)
        raise BuildFailed(f"`{' '.join(words[:3])} …` ended with exit code {code}:\n{text}", fix=fix)
