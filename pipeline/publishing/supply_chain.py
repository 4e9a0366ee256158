"""The SBOM and the provenance of an image, in S3.

They are not in the registry: SageMaker refuses an image index with attestations.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.errors import BuildFailed

log = logging.getLogger(__name__)

SBOM_SECONDS = 600
BUILD_TYPE = "tag:sagemaker-pytorch-release,2026:container/build"


def sbom_key(tag: str) -> str:
    """Return the key of an image's SBOM; the tag is the hash of the image's sources."""
    return f"images/{tag}/sbom.spdx.json"


def provenance_key(tag: str) -> str:
    """Return the key of an image's provenance."""
    return f"images/{tag}/provenance.json"


def store_sbom(reference: str, tag: str, aws: AwsClient) -> str:
    """List the packages of an image that was just built, and return the SBOM's URI in S3.

    Raises BuildFailed when syft fails.
    """
    log.info(f"list what {reference} is made of (about half a minute; --no-sbom leaves it out)")
    with tempfile.TemporaryDirectory(prefix="sbom-") as scratch:
        path = Path(scratch, "sbom.spdx.json")
        words = [_syft(), "scan", f"docker:{reference}", "--quiet", "--output", f"spdx-json={path}"]
        environ = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        try:
            done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=SBOM_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(
                f"syft was not done within {SBOM_SECONDS} s.", fix="Publish again, or with --no-sbom."
            ) from error
        if done.returncode != 0 or not path.is_file():
            raise BuildFailed(
                f"syft ended with exit code {done.returncode}: {done.stderr.strip()[-500:]}",
                fix="Publish again; --no-sbom publishes without the list, and the release says so.",
            )
        return _put(sbom_key(tag), path.read_bytes(), f"store the SBOM of {tag[:12]}", aws)


def store_provenance(statement: dict[str, Any], tag: str, aws: AwsClient) -> str:
    """Store the provenance of an image, once, and return the statement's URI in S3."""
    key = provenance_key(tag)
    if aws.find("s3", "head_object", Bucket=aws.place.bucket, Key=key) is None:
        body = (json.dumps(statement, indent=2) + "\n").encode()
        return _put(key, body, f"store the provenance of {tag[:12]}", aws)
    return f"s3://{aws.place.bucket}/{key}"


@dataclass(frozen=True)
class Origin:
    """The origin of a build. `dirty`: its sources have uncommitted edits."""

    commit: str | None = None
    dirty: bool = False
    run_url: str | None = None


def provenance(repository: str, digest: str, sources: str, origin: Origin) -> dict[str, Any]:
    """Return an in-toto statement (SLSA provenance 1) about an image.

    `sources`: the SHA-256 of the image's sources in container/.
    """
    dependencies = [{"uri": "container/", "digest": {"sha256": sources}}]
    if origin.commit is not None:
        where = origin.run_url.split("/actions/")[0] if origin.run_url else "."
        dependencies.append({"uri": f"git+{where}", "digest": {"gitCommit": origin.commit}})
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": repository, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"uncommittedEdits": origin.dirty},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {"builder": {"id": origin.run_url or "a machine of the one who published"}},
        },
    }


def _put(key: str, body: bytes, says: str, aws: AwsClient) -> str:
    bucket = aws.place.bucket
    params = {"Bucket": bucket, "Key": key, "Body": body, "ContentType": "application/json"}
    aws.apply(Call("s3", "put_object", params, says))
    return f"s3://{bucket}/{key}"


def _syft() -> str:
    """Find syft beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name("syft")
    found = str(beside) if beside.is_file() else shutil.which("syft")
    if found is None:
        raise BuildFailed(
            "There is no syft, which lists the packages of an image.",
            fix="`make setup` installs it; or publish with --no-sbom.",
        )
    return found
