"""What the steps after `publish` need of a release, as lines for $GITHUB_OUTPUT; its SBOM is fetched beside it.

python .ci/release_outputs.py build/release.json build/sbom.spdx.json >> "$GITHUB_OUTPUT"
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3


def outputs(release: Mapping[str, Any], sbom: str) -> dict[str, str]:
    """Name the image as attestations do, by repository and digest. `sbom`: empty where there is none."""
    image = release["image"]
    return {"name": image["uri"].partition("@")[0], "digest": image["digest"], "sbom": sbom}


def main(words: Sequence[str]) -> int:
    """Print the outputs; fetch the SBOM to the second path when the release has one."""
    manifest, target = Path(words[0]), Path(words[1])
    release = json.loads(manifest.read_text())
    where = release["image"].get("sbom")
    if where:
        bucket, _, key = where.removeprefix("s3://").partition("/")
        boto3.client("s3").download_file(bucket, key, str(target))
    for name, value in outputs(release, str(target) if where else "").items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
