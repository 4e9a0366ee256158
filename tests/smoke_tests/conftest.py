"""Live endpoints of the local AWS that serve the committed model with the container's own `serve`."""

import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

import local_aws
from tests.smoke_tests.programs import IMAGE, TEXT, Program

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


@dataclass(frozen=True)
class Report:
    """The JUnit report of a run: the names of the tests that failed, with their messages, and why others did not run."""

    names: frozenset[str]
    failures: dict[str, str]
    skips: dict[str, str]
    properties: tuple[tuple[str, str], ...]
    output: str

    @property
    def failed(self) -> set[str]:
        return set(self.failures)


def smoke(live: LiveEndpoint, report: Path, *options: str) -> Report:
    """Run the smoke tests with their JUnit report in `report`, and read it."""
    command = [sys.executable, "-m", "pytest", "smoke_tests", "-q", "-p", "no:cacheprovider"]
    command += ["--endpoint", live.endpoint, "--junitxml", str(report), *options]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **live.environ}, capture_output=True, text=True, timeout=120
    )
    assert report.is_file(), done.stdout + done.stderr
    root = ElementTree.parse(report).getroot()
    cases = {str(case.get("name")): case for case in root.iter("testcase")}
    assert len(cases) > 1, f"the suite did not run: {done.stdout}{done.stderr}"
    return Report(
        frozenset(cases),
        _messages(cases, "failure", "error"),
        _messages(cases, "skipped"),
        tuple((str(each.get("name")), str(each.get("value"))) for each in root.iter("property")),
        done.stdout,
    )


def _messages(cases: dict[str, ElementTree.Element], *outcomes: str) -> dict[str, str]:
    found = {name: [case.find(each) for each in outcomes] for name, case in cases.items()}
    return {
        name: str(each.get("message"))
        for name, elements in found.items()
        for each in elements
        if each is not None
    }


def create_endpoint(
    aws: local_aws.Running, name: str, environment: dict[str, str], instances: int, key: str = ARCHIVE
) -> None:
    """Create an endpoint that serves an archive, and wait until it is InService, for BOUND_SECONDS at most."""
    sagemaker = aws.client("sagemaker")
    container = {
        "Image": "digits:here",
        "ModelDataUrl": f"s3://{BUCKET}/{key}",
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


@pytest.fixture(scope="session")
def text_model(aws: local_aws.Running) -> LiveEndpoint:
    """Create an endpoint that answers text with CSV."""
    return _serve_program(aws, "text", TEXT)


@pytest.fixture(scope="session")
def image_model(aws: local_aws.Running) -> LiveEndpoint:
    """Create an endpoint that answers a PNG with bytes, whole or as a stream."""
    return _serve_program(aws, "image", IMAGE)


def _serve_program(aws: local_aws.Running, name: str, program: Program) -> LiveEndpoint:
    key = f"weights/{name}.tar.gz"
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=program.archive())
    create_endpoint(aws, name, {"RELEASE_ID": name}, instances=1, key=key)
    return LiveEndpoint(name, aws.environ)
