"""Train on AWS, as an optional first step: one job for each content of image, data and settings."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.aws.training import create_training_job
from pipeline.aws.validation import require_valid
from pipeline.aws.waiting import wait_until
from pipeline.config import Environment, Training
from pipeline.errors import ConfigError, TrainingFailed
from pipeline.model import Model
from pipeline.publishing.digests import digests_of, fingerprint
from pipeline.publishing.image import publish_image
from pipeline.publishing.supply_chain import Origin
from pipeline.publishing.upload import Upload
from pipeline.release_store.archives import archived_files
from pipeline.run import Run

log = logging.getLogger(__name__)

CHANNEL = "training"
PROVISION_SECONDS = 1800  # until AWS has an instance
LOG_LINES = 15
TRIES = 100  # names for the same content: each failed job has used one
MOVING = frozenset({"InProgress", "Stopping"})


class TrainResult(Model):
    """The completed job. `weights`: the value of the config's `weights:` that releases its artifact."""

    job: str
    image: str
    data: str
    artifact: str
    weights: str
    made: bool  # False: an earlier run's job has the same content


def training_request(env: Environment, training: Training, image: str, data: str) -> dict[str, Any]:
    """Return CreateTrainingJob's parameters without the name."""
    source = {"S3DataType": "S3Prefix", "S3Uri": data, "S3DataDistributionType": "FullyReplicated"}
    network = env.endpoint.vpc
    return {
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": env.aws.execution_role_arn,
        "HyperParameters": dict(training.hyperparameters),
        "InputDataConfig": [{"ChannelName": CHANNEL, "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{env.aws.bucket}/training/jobs/"},
        "ResourceConfig": {
            "InstanceType": training.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": training.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": training.maximum_seconds},
        **(
            {"VpcConfig": {"Subnets": [*network.subnets], "SecurityGroupIds": [*network.security_groups]}}
            if network
            else {}
        ),
        **({"EnableNetworkIsolation": True} if env.endpoint.network_isolation else {}),
        **(
            {"Tags": [{"Key": key, "Value": each} for key, each in sorted(env.aws.tags.items())]}
            if env.aws.tags
            else {}
        ),
    }


def job_name(env: Environment, request: dict[str, Any], attempt: int) -> str:
    """Return the name of a job, derived from its request, at most 63 characters; a further attempt has its number."""
    deciding = {key: value for key, value in request.items() if key != "Tags"}
    content = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]
    again = f"-{attempt}" if attempt > 1 else ""
    return f"{training_job_prefix(env)}-{content}{again}"


def training_job_prefix(env: Environment) -> str:
    """Return how the names of the project's training jobs begin; its deploy role may make no others."""
    return env.aws.model_package_group[:40]


def train(run: Run, origin: Origin, *, engine: bool, sbom: bool) -> TrainResult:
    """Make sure that a training job of image, data and settings has completed, and return its artifact.

    The same content trains once; the job of an interrupted run is waited for. Raises
    ConfigError without a `training` section, TrainingFailed with the job's reason and last log lines.
    """
    training = run.env.training
    if training is None:
        raise ConfigError(
            f"{run.env.name} has no `training` section.",
            fix="Add `training:` to its file (docs/pipeline.md).",
        )
    image = publish_image(run, origin, engine=engine, sbom=sbom, instance_type=training.instance_type)
    data = _sync_data(training.data, run.aws)
    request = training_request(run.env, training, image.uri, data)
    name, status = _next_name(run, request)
    if status is None:
        call = Call("sagemaker", "create_training_job", {"TrainingJobName": name, **request}, f"train {name}")
        require_valid([call])
        log.info(call.says)
        run.aws.before_write()
        create_training_job(call, run.env.aws.region)
        run.aws.made.append(call.says)
    else:
        log.info(f"{name} is {status} already: no second job for the same content")
    artifact = _wait(name, training.maximum_seconds + PROVISION_SECONDS, run.aws)
    weights = f"training-job/{name}"
    log.info(f"release it with `weights: {weights}`, or publish --weights {weights}")
    return TrainResult(
        job=name, image=image.uri, data=data, artifact=artifact, weights=weights, made=status is None
    )


def _next_name(run: Run, request: dict[str, Any]) -> tuple[str, str | None]:
    """Return the first name whose job has not failed, with its status; None: there is no such job."""
    for attempt in range(1, TRIES + 1):
        name = job_name(run.env, request, attempt)
        found = run.aws.find("sagemaker", "describe_training_job", TrainingJobName=name)
        status = found["TrainingJobStatus"] if found else None
        if status not in {"Failed", "Stopped"}:
            return name, status
    raise TrainingFailed(
        f"{TRIES} jobs have failed with exactly this image, data and settings.",
        fix="Change what makes them fail; the reasons are in `aws sagemaker list-training-jobs`.",
    )


def _wait(name: str, bound_seconds: float, aws: AwsClient) -> str:
    """Return the artifact's URI once the job has completed; log each stage that it reaches."""
    logged = ""

    def report(job: dict[str, Any], waited: float) -> None:
        nonlocal logged
        stage = job.get("SecondaryStatus", "")
        if stage != logged:
            log.info(f"  {waited:5.0f} s  {stage}")
            logged = stage

    job = wait_until(
        lambda: aws.read("sagemaker", "describe_training_job", TrainingJobName=name),
        lambda job: job["TrainingJobStatus"] not in MOVING,
        bound_seconds,
        aws.clock,
        timed_out=lambda job, waited: TrainingFailed(
            f"Training job {name} is still {job.get('SecondaryStatus') or job['TrainingJobStatus']} "
            f"after {waited:.0f} s.",
            fix=f"aws sagemaker stop-training-job --training-job-name {name}; then train again.",
        ),
        report=report,
    )
    if job["TrainingJobStatus"] == "Completed":
        return str(job["ModelArtifacts"]["S3ModelArtifacts"])
    reason = job.get("FailureReason", "no reason is given")
    raise TrainingFailed(
        f"Training job {name} is {job['TrainingJobStatus']}: {reason}\n{_last_lines(name, aws)}",
        fix="Correct its cause and train again; the next job gets a name of its own.",
    )


def _last_lines(name: str, aws: AwsClient) -> str:
    group = "/aws/sagemaker/TrainingJobs"
    streams = aws.find("logs", "describe_log_streams", logGroupName=group, logStreamNamePrefix=f"{name}/")
    for stream in (streams or {}).get("logStreams", [])[:1]:
        which = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
        events = aws.read("logs", "get_log_events", **which, limit=LOG_LINES)["events"]
        return "\n".join(f"  {event['message'].rstrip()}" for event in events)
    return "  (it has logged nothing)"


def _sync_data(source: str, aws: AwsClient) -> str:
    """Upload local data to a prefix named by its content, and return the prefix; s3:// is returned unchanged."""
    if source.startswith("s3://"):
        return source
    path = Path(source)
    if not path.exists():
        raise ConfigError(f"There is no training data at '{source}'.", fix="Correct training.data.")
    files = list(archived_files(path)) if path.is_dir() else [(path.name, path)]
    prefix = f"training/data/{fingerprint(files)}/"
    there = set(aws.keys(prefix))
    bucket = aws.place.bucket
    for name, file in files:
        if f"{prefix}{name}" not in there:
            says = f"upload training data {name}"
            log.info(says)
            where = {"Bucket": bucket, "Key": f"{prefix}{name}"}
            Upload(file, where, digests_of(file), aws, says).send()
    return f"s3://{bucket}/{prefix}"
