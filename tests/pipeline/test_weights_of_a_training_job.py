"""The weights of a training job that ran the real container's `train`, from the digits to a release's archive."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import golden
import local_aws
from local_aws.testing import wait_until
from pipeline.aws import AwsClient
from pipeline.config import load_environment
from pipeline.publishing.weights import sync_weights

pytestmark = pytest.mark.starts_processes

DIGITS = Path("container/local_test/opt/ml/input/data/training/digits.csv.gz")
JOB = "digits-1"
ENDED = ("Completed", "Failed", "Stopped")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[local_aws.Running]:
    """Start an AWS whose training jobs run container/src/train, which it finds in the working directory."""
    with local_aws.start(instances="process", state_dir=tmp_path, cache_dir=tmp_path) as aws:
        yield aws


def files_of(aws: local_aws.Running, uri: str) -> dict[str, bytes]:
    """Read the files of a .tar.gz in S3, by path."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def test_the_pipeline_takes_its_weights_from_a_job_of_the_real_container(
    running: local_aws.Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`weights: training-job/NAME`, from digits to a release's archive."""
    env = load_environment("staging")
    bucket, s3, sagemaker = env.aws.bucket, running.client("s3"), running.client("sagemaker")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.upload_file(str(DIGITS), bucket, "data/digits/digits.csv.gz")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/digits"}
    sagemaker.create_training_job(
        TrainingJobName=JOB,
        AlgorithmSpecification={"TrainingImage": "digits", "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::123456789012:role/digits-sagemaker",
        HyperParameters={"epochs": "1"},
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/jobs/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )
    wait_until(
        lambda: sagemaker.describe_training_job(TrainingJobName=JOB)["TrainingJobStatus"] in ENDED,
        f"{JOB} ends",
        seconds=60,
    )
    job = sagemaker.describe_training_job(TrainingJobName=JOB)
    assert job["TrainingJobStatus"] == "Completed", job
    for variable, value in running.environ.items():
        monkeypatch.setenv(variable, value)

    weights = sync_weights(f"training-job/{JOB}", AwsClient(env.aws)).weights
    files = files_of(running, weights.uri)
    assert {"model.safetensors", golden.FILE, "metrics.json"} <= files.keys()
    assert len(golden.parse(files[golden.FILE], golden.FILE)) == 32
