"""The endpoint's model as the tests know it: its golden set and its API description, from files or from its archive."""

import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

import golden
from smoke_tests.openapi import DOCUMENT, ApiDescription, digest, read_openapi, recorded_digest

ENGINES = "engines.json"
MANIFEST, ADDED = (
    "release.json",
    "golden.json",
)  # of releases/ID; a golden set may be added to a release later
FIX = "Pass --golden FILE."


@dataclass(frozen=True)
class Subject:
    """The golden set, and the description of the API; `why_no_api`: the reason when there is none."""

    golden_set: golden.GoldenSet
    api: ApiDescription | None
    why_no_api: str = ""

    @property
    def note(self) -> str:
        """The sentence for reports: answers that are compared by shape alone, and tests that don't apply."""
        return "; ".join(each for each in (self.golden_set.note, self.why_no_api) if each)


def find_subject(endpoint: str, golden_file: Path | None, openapi_file: Path | None) -> Subject:
    """Read the named files; without `golden_file`, the model archive of the endpoint.

    The archive's golden set is used, else the one that the release's manifest names. The archive's engines.json tells
    whether this project's container/openapi.json describes the model. Raises LookupError, or golden.GoldenError.
    """
    api = None if openapi_file is None else read_openapi(openapi_file)
    if golden_file is not None:
        reason = "" if api else "no API description: --golden was given without --openapi"
        return Subject(golden.read(golden_file), api, reason)
    return subject_of(_container_of(endpoint), api)


def subject_of(container: Mapping[str, Any], api: ApiDescription | None) -> Subject:
    """Read the archive of a model, by its container as DescribeModel has it. Raises as `find_subject` does."""
    uri = str(container.get("ModelDataUrl", ""))
    if not uri:
        raise LookupError(f"The model has no model archive. {FIX}")
    found = _members(uri, (golden.FILE, golden.LEGACY_FILE, ENGINES))
    golden_set = _golden_of_archive(found, uri) or _golden_of_release(container, uri)
    if golden_set is None:
        raise LookupError(f"Neither {uri} nor the manifest of its release names a golden set. {FIX}")
    if api is not None:
        return Subject(golden_set, api)
    return Subject(golden_set, *_project_api(found.get(ENGINES)))


def _project_api(record: bytes | None) -> tuple[ApiDescription | None, str]:
    """Return this project's API description if the archive's record names it, else the reason why not."""
    recorded = None if record is None else recorded_digest(record)
    if recorded is None:
        return None, "no API description: the model archive names none"
    api = read_openapi(DOCUMENT)
    if recorded != digest(api.document):
        return None, f"no API description: the model is for {recorded}, {DOCUMENT.name} here is another"
    return api, ""


def _container_of(endpoint: str) -> dict[str, Any]:
    """Describe the model of the first variant."""
    sagemaker = boto3.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variants[0]["ModelName"])
    container: dict[str, Any] = model["PrimaryContainer"]
    return container


def _golden_of_archive(found: dict[str, bytes], uri: str) -> golden.GoldenSet | None:
    name = next((each for each in (golden.FILE, golden.LEGACY_FILE) if each in found), None)
    return None if name is None else golden.parse(found[name], f"{uri}: {name}")


def _golden_of_release(container: Mapping[str, Any], uri: str) -> golden.GoldenSet | None:
    """Read the golden set that was stored beside the weights; None when the release names none."""
    release = container.get("Environment", {}).get("RELEASE_ID")
    if not release:
        return None
    folder = f"s3://{_bucket_and_key(uri)[0]}/releases/{release}"
    manifest = _read_json(f"{folder}/{MANIFEST}") or {}
    record = manifest.get("golden") or _read_json(f"{folder}/{ADDED}") or {}
    named = str(record.get("uri") or "")
    content = _read_object(named) if named else None
    return None if content is None else golden.parse(content, named)


def _read_json(uri: str) -> dict[str, Any] | None:
    content = _read_object(uri)
    document: dict[str, Any] | None = None if content is None else json.loads(content)
    return document


def _read_object(uri: str) -> bytes | None:
    """Read an object; None when there is none."""
    s3, (bucket, key) = boto3.client("s3"), _bucket_and_key(uri)
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return content


def _members(uri: str, names: Iterable[str]) -> dict[str, bytes]:
    """Read these files of the archive, those that it has, as it streams by."""
    bucket, key = _bucket_and_key(uri)
    body, found = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"], {}
    with tarfile.open(fileobj=body, mode="r|gz") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in names and (content := tar.extractfile(member)):
                found[name] = content.read()
    return found


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
