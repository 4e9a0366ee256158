"""A driver for tests of training jobs."""

import io
import secrets
import tarfile
from typing import Any

import local_aws
from local_aws.testing import wait_until
from testbed.serving import NO_RETRY

ENDED = {"Completed", "Failed", "Stopped"}


class Jobs:
    """Short ways to start and follow training jobs."""

    def __init__(self, aws: local_aws.Running, bucket: str) -> None:
        self.sagemaker = aws.client("sagemaker", config=NO_RETRY)
        self.s3, self.bucket = aws.client("s3"), bucket
        place = {"LocationConstraint": "eu-west-1"}
        self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)

    def request(self, **changes: Any) -> dict[str, Any]:
        return {
            "TrainingJobName": f"job-{secrets.token_hex(4)}",
            "AlgorithmSpecification": {"TrainingImage": "tiny", "TrainingInputMode": "File"},
            "RoleArn": "arn:aws:iam::123456789012:role/digits-sagemaker",
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/jobs/"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        } | changes

    def channel(self, name: str, uri: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}

    def begin(self, **changes: Any) -> str:
        request = self.request(**changes)
        answer = self.sagemaker.create_training_job(**request)
        assert answer["TrainingJobArn"].endswith(f":training-job/{request['TrainingJobName']}")
        return str(request["TrainingJobName"])

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until a job has ended, and describe it."""
        wait_until(lambda: self.describe(name)["TrainingJobStatus"] in ENDED, f"{name} ends", 60)
        return self.describe(name)

    def artifact(self, uri: str) -> dict[str, bytes]:
        """Files of a .tar.gz in S3 by path."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
