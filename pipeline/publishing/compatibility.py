"""Check that weights and image are compatible, before they become a release.

The archive's engines.json names the schemas of requests and responses, and the engines, with the versions by which
the golden answers were compared. The image has labels of the same meaning, which follow from container/.
"""

import json
import logging
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from pipeline.config.instance_types import ImageVariant
from pipeline.errors import BuildFailed, ReleaseError
from pipeline.release import Requirements

log = logging.getLogger(__name__)

ENGINES = "engines.json"
LABEL = "sagemaker-pytorch-release"
LABELS_SECONDS = 60


def requirements_of(record: bytes, where: str) -> Requirements:
    """Read engines.json. Raises ReleaseError when it is another kind of file."""
    try:
        document = json.loads(record)
        chosen = {choice["engine"] for choice in document["auto"].values()}
        versions = {
            each["engine"]: each["version"] for each in document["engines"] if each["engine"] in chosen
        }
        return Requirements(request_response=document["request_response"], engines=versions)
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise ReleaseError(
            f"{ENGINES} of {where} cannot be read: {error!r}.", fix="Train, or export, the model again."
        ) from error


def labels_of(container: Path, variant: ImageVariant = "cpu") -> dict[str, str]:
    """Return the labels that the image of `container` has. Raises BuildFailed."""
    words = [str(container / "build"), "--labels", "--variant", variant]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LABELS_SECONDS)
    if done.returncode != 0:
        raise BuildFailed(
            f"`{' '.join(words)}` ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}",
            fix=f"Run `{' '.join(words)}` to see the error.",
        )
    labels: dict[str, str] = json.loads(done.stdout)
    return labels


def require_compatible(fits: Requirements, labels: Mapping[str, str]) -> None:
    """Return when the weights fit the image. Version differences are warnings: every start compares its answers.

    Raises ReleaseError when they are for another interface, or for an engine that the image lacks.
    """
    has = dict(word.split("==", 1) for word in labels.get(f"{LABEL}.engines", "").split() if "==" in word)
    for engine, version in sorted(fits.engines.items()):
        if engine in has and _release(has[engine]) != _release(version):
            log.warning(
                f"the weights' answers were compared on {engine} {version}, the image has {has[engine]}: "
                "every start compares them again"
            )
    problems = list(_problems(fits, labels.get(f"{LABEL}.request-response"), has))
    if problems:
        raise ReleaseError(
            f"These weights do not fit this image: {'; '.join(problems)}.",
            fix="Train again with this container/, or publish from the commit that the weights were made with.",
        )


def _problems(fits: Requirements, schema: str | None, has: Mapping[str, str]) -> Iterator[str]:
    if fits.request_response != schema:
        yield f"they take and give what {fits.request_response} describes, the image {schema or 'nothing'}"
    for engine in sorted(fits.engines.keys() - has.keys()):
        yield f"they are computed by {engine} {fits.engines[engine]}, the image has none"


def _release(version: str) -> str:
    """Return a version without its build: 2.13.0+cpu is 2.13.0."""
    return version.partition("+")[0]
