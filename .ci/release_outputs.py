"""Print the image name, digest and SBOM of a release as lines for $GITHUB_OUTPUT; download the SBOM.

python .ci/release_outputs.py build/release.json build/sbom.spdx.json >> "$GITHUB_OUTPUT"
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3


def outputs(release: Mapping[str, Any], sbom: str) -> dict[str, str]:
    """Return the image's repository and digest, as attestations name it. `sbom`: empty if there is none."""
    image = release["image"]
    return {"name": image["uri"].partition("@")[0], "digest": image["digest"], "sbom": sbom}


def main(words: Sequence[str]) -> int:
    """Print the outputs; download the SBOM to the second path if the release has one."""
    manifest, target = Path(words[0]), Path(words[1])
    release = json.loads(manifest.read_text())
    sbom_uri = release["image"].get("sbom")
    if sbom_uri:
        bucket, _, key = sbom_uri.removeprefix("s3://").partition("/")
        boto3.client("s3").download_file(bucket, key, str(target))
    for name, value in outputs(release, str(target) if sbom_uri else "").items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
