"""Live endpoints of the local AWS that serve the committed model with the container's own `serve`."""

import io
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import local_aws

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "container" / "local_test" / "opt" / "ml" / "model"
BUCKET, ARCHIVE = "smoke", "weights/model.tar.gz"
BOUND_SECONDS = 90.0


@dataclass(frozen=True)
class LiveEndpoint:
    """A live endpoint, and the environment variables with which clients reach its AWS."""

    endpoint: str
    environ: dict[str, str]


def archive(folder: Path = MODEL) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return packed.getvalue()


def create_endpoint(aws: local_aws.Running, name: str, environment: dict[str, str], instances: int) -> None:
    """Create an endpoint that serves the archive, and wait until it is InService, for BOUND_SECONDS at most."""
    sagemaker = aws.client("sagemaker")
    container = {
        "Image": "digits:here",
        "ModelDataUrl": f"s3://{BUCKET}/{ARCHIVE}",
        "Environment": environment,
    }
    role = "arn:aws:iam::123456789012:role/sagemaker"
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": instances}]
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    end = time.monotonic() + BOUND_SECONDS
    while (described := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
        assert time.monotonic() < end, f"{name} is not in service within {BOUND_SECONDS} s"
        time.sleep(0.1)
    assert described["EndpointStatus"] == "InService", described


@pytest.fixture(scope="session")
def aws() -> Iterator[local_aws.Running]:
    with local_aws.start(instances="process", time_scale=60, cpu_scale=0.5) as running:
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_object(Bucket=BUCKET, Key=ARCHIVE, Body=archive())
        yield running


@pytest.fixture(scope="session")
def live(aws: local_aws.Running) -> LiveEndpoint:
    """Create an endpoint with two instances of the release `r1`."""
    create_endpoint(aws, "sound", {"RELEASE_ID": "r1"}, instances=2)
    return LiveEndpoint("sound", aws.environ)


@pytest.fixture(scope="session")
def small_payload(aws: local_aws.Running) -> LiveEndpoint:
    """Create an endpoint whose container takes 1 MB instead of the 25 MB of the contract."""
    create_endpoint(aws, "short", {"RELEASE_ID": "r1", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1"}, instances=1)
    return LiveEndpoint("short", aws.environ)


@pytest.fixture(scope="session")
def production(aws: local_aws.Running) -> LiveEndpoint:
    """Create the endpoint of the examples in docs/clients.md."""
    create_endpoint(aws, "digits-production", {"RELEASE_ID": "r1"}, instances=1)
    return LiveEndpoint("digits-production", aws.environ)
