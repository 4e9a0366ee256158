"""Print what later steps need of a release as lines for $GITHUB_OUTPUT; download its SBOM.

python .ci/release_outputs.py build/release.json [build/sbom.spdx.json [build/staging/publish.json]]

`built`: the publish whose record is named has built the image and pushed it; only then it may be attested.
`new`: this run of GitHub published the release first. `sbom`: empty if there is none, or no path for it.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3

BUILT = "build and push image"  # how the publish record begins the call (pipeline/publishing/image.py)


def outputs(
    release: Mapping[str, Any], sbom: str = "", record: Mapping[str, Any] | None = None, run_url: str = ""
) -> dict[str, str]:
    """Return id, the image's repository and digest as attestations name it, and what this run did."""
    image = release["image"]
    built = any(call.startswith(BUILT) for call in (record or {}).get("calls", []))
    return {
        "release": release["id"],
        "name": image["uri"].partition("@")[0],
        "digest": image["digest"],
        "sbom": sbom,
        "built": str(built).lower(),
        "new": str(bool(run_url) and release["run_url"] == run_url).lower(),
    }


def this_run(environ: Mapping[str, str]) -> str:
    """Return the address of the GitHub run that this is; empty elsewhere."""
    server, repository, run = (
        environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    )
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


def download_sbom(release: Mapping[str, Any], target: Path) -> str:
    """Download the release's SBOM and return its path; empty if the release has none."""
    uri = release["image"].get("sbom")
    if not uri:
        return ""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    boto3.client("s3").download_file(bucket, key, str(target))
    return str(target)


def main(words: Sequence[str]) -> int:
    """Print the outputs; download the SBOM to the second path if the release has one."""
    release = json.loads(Path(words[0]).read_text())
    sbom = download_sbom(release, Path(words[1])) if len(words) > 1 else ""
    record = json.loads(Path(words[2]).read_text()) if len(words) > 2 else None
    for name, value in outputs(release, sbom, record, this_run(os.environ)).items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
