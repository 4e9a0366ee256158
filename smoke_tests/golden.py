"""The golden set: inputs, and the model's answers at training time."""

import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

import boto3

GOLDEN = "golden.json"


@dataclass(frozen=True)
class Golden:
    """`instances[i]` (64 numbers) must be answered with `predictions[i]`, probabilities within `tolerance`."""

    content_type: str
    tolerance: float
    instances: tuple[list[float], ...]
    predictions: tuple[dict[str, Any], ...]

    def body(self, *positions: int) -> bytes:
        """Return a request with the cases at these positions; with all cases if none is given."""
        chosen = positions or range(len(self.instances))
        return json.dumps({"instances": [self.instances[i] for i in chosen]}).encode()


def parse_golden(text: str | bytes) -> Golden:
    """Read the content of a golden.json."""
    document = json.loads(text)
    return Golden(
        content_type=document["content_type"],
        tolerance=float(document["tolerance"]),
        instances=tuple(case["instance"] for case in document["cases"]),
        predictions=tuple(case["prediction"] for case in document["cases"]),
    )


def fetch_golden(endpoint: str) -> Golden:
    """Read golden.json from the model archive of this endpoint.

    Raises LookupError when the model has no archive, or the archive has no golden.json.
    """
    sagemaker = boto3.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variants[0]["ModelName"])
    uri = model["PrimaryContainer"].get("ModelDataUrl", "")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not key:
        raise LookupError(f"Model {model['ModelName']} has no model archive; pass --golden FILE.")
    archive = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.name.removeprefix("./") == GOLDEN and (content := tar.extractfile(member)):
                return parse_golden(content.read())
    raise LookupError(f"{uri} holds no {GOLDEN}; pass --golden FILE.")


def differences(golden: Golden, answered: list[dict[str, Any]], positions: range) -> list[str]:
    """Name every case whose answer is not the golden one; `answered[k]` belongs to `positions[k]`."""
    if len(answered) != len(positions):
        return [f"{len(positions)} instances were sent, {len(answered)} predictions came back"]
    found = []
    for position, got in zip(positions, answered, strict=True):
        expected = golden.predictions[position]
        pairs = zip(got["probabilities"], expected["probabilities"], strict=True)
        distance = max(abs(a - b) for a, b in pairs)
        if got["label"] != expected["label"]:
            found.append(f"case {position}: label {got['label']}, golden {expected['label']}")
        elif not distance <= golden.tolerance:
            found.append(
                f"case {position}: a probability is {distance:.2g} off, {golden.tolerance:g} allowed"
            )
    return found
