"""Train on AWS, as an optional first step: one job for each content of image, data and settings."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from pipeline.aws import Aws
from pipeline.aws.calls import Call
from pipeline.aws.shapes import require_valid
from pipeline.aws.training import create_training_job
from pipeline.aws.waiting import pause_seconds
from pipeline.config import Environment, Training
from pipeline.errors import ConfigError, TrainingFailed
from pipeline.model import Model
from pipeline.publishing.digests import digests_of, fingerprint
from pipeline.publishing.image import Origin, publish_image
from pipeline.publishing.upload import upload
from pipeline.release_store.archives import archived_files
from pipeline.state.records import Say

CHANNEL = "training"
PROVISION_SECONDS = 1800  # until AWS has an instance
SAID_LINES = 15
TRIES = 100  # names of one content: each failed job has used one up
MOVING = frozenset({"InProgress", "Stopping"})


class TrainResult(Model):
    """The job that has trained. `weights`: what the config's `weights:` says to release its artifact."""

    job: str
    image: str
    data: str
    artifact: str
    weights: str
    made: bool  # False: an earlier run's job had done it already


def training_request(env: Environment, training: Training, image: str, data: str) -> dict[str, Any]:
    """Return CreateTrainingJob's parameters, all but the name."""
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
    """Name a job by what it does, at most 63 characters; an attempt after a failed one by its number."""
    deciding = {key: value for key, value in request.items() if key != "Tags"}
    content = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]
    again = f"-{attempt}" if attempt > 1 else ""
    return f"{training_job_prefix(env)}-{content}{again}"


def training_job_prefix(env: Environment) -> str:
    """Return how the names of the project's training jobs begin; its deploy role may make no others."""
    return env.aws.model_package_group[:40]


def train(env: Environment, aws: Aws, origin: Origin, *, engine: bool, sbom: bool, say: Say) -> TrainResult:
    """Have a completed training job of what is here, and return where its artifact is.

    The same content trains once; a job that an interrupted run has started is waited for. Raises
    ConfigError without a `training` section, TrainingFailed with the job's reason and last log lines.
    """
    training = env.training
    if training is None:
        raise ConfigError(
            f"{env.name} says nothing about training.", fix="Add `training:` to its file (docs/pipeline.md)."
        )
    image = publish_image(aws, origin, engine=engine, sbom=sbom, say=say)
    data = _sync_data(training.data, aws, say)
    request = training_request(env, training, image.uri, data)
    name, status = _next_name(env, request, aws)
    if status is None:
        call = Call("sagemaker", "create_training_job", {"TrainingJobName": name, **request}, f"train {name}")
        require_valid([call])
        say(call.says)
        aws.before_write()
        create_training_job(call, env.aws.region)
        aws.made.append(call.says)
    else:
        say(f"{name} is {status} already: no second job for the same content")
    artifact = _wait(name, training.maximum_seconds + PROVISION_SECONDS, aws, say)
    weights = f"training-job/{name}"
    say(f"release it with `weights: {weights}`, or publish --weights {weights}")
    return TrainResult(
        job=name, image=image.uri, data=data, artifact=artifact, weights=weights, made=status is None
    )


def _next_name(env: Environment, request: dict[str, Any], aws: Aws) -> tuple[str, str | None]:
    """Return the name of the job that has not failed, with its status; None: there is none of that name."""
    for attempt in range(1, TRIES + 1):
        name = job_name(env, request, attempt)
        found = aws.find("sagemaker", "describe_training_job", TrainingJobName=name)
        status = found["TrainingJobStatus"] if found else None
        if status not in {"Failed", "Stopped"}:
            return name, status
    raise TrainingFailed(
        f"{TRIES} jobs have failed with exactly this image, data and settings.",
        fix="Change what makes them fail; the reasons are in `aws sagemaker list-training-jobs`.",
    )


def _wait(name: str, bound_seconds: float, aws: Aws, say: Say) -> str:
    """Return the artifact's URI once the job has completed, saying each stage it comes to."""
    started, said = time.monotonic(), ""
    while True:
        job = aws.read("sagemaker", "describe_training_job", TrainingJobName=name)
        status, stage = job["TrainingJobStatus"], job.get("SecondaryStatus", "")
        if status == "Completed":
            return str(job["ModelArtifacts"]["S3ModelArtifacts"])
        if status not in MOVING:
            reason = job.get("FailureReason", "no reason is given")
            raise TrainingFailed(
                f"Training job {name} is {status}: {reason}\n{_last_lines(name, aws)}",
                fix="Correct its cause and train again; the next job gets a name of its own.",
            )
        waited = time.monotonic() - started
        if waited > bound_seconds:
            raise TrainingFailed(
                f"Training job {name} is still {stage or status} after {waited:.0f} s.",
                fix=f"aws sagemaker stop-training-job --training-job-name {name}; then train again.",
            )
        if stage != said:
            say(f"  {waited:5.0f} s  {stage}")
            said = stage
        aws.sleep(pause_seconds(waited))


def _last_lines(name: str, aws: Aws) -> str:
    group = "/aws/sagemaker/TrainingJobs"
    streams = aws.find("logs", "describe_log_streams", logGroupName=group, logStreamNamePrefix=f"{name}/")
    for stream in (streams or {}).get("logStreams", [])[:1]:
        which = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
        events = aws.read("logs", "get_log_events", **which, limit=SAID_LINES)["events"]
        return "\n".join(f"  {event['message'].rstrip()}" for event in events)
    return "  (it has logged nothing)"


def _sync_data(source: str, aws: Aws, say: Say) -> str:
    """Have local data at a prefix that its content names, and return the prefix; s3:// is taken as it is."""
    if source.startswith("s3://"):
        return source
    path = Path(source)
    if not path.exists():
        raise ConfigError(f"There is no training data at '{source}'.", fix="Correct training.data.")
    files = list(archived_files(path)) if path.is_dir() else [(path.name, path)]
    prefix = f"training/data/{fingerprint(files)}/"
    there = set(aws.keys(prefix))
    bucket = aws.env.aws.bucket
    for name, file in files:
        if f"{prefix}{name}" not in there:
            says = f"upload training data {name}"
            say(says)
            where = {"Bucket": bucket, "Key": f"{prefix}{name}"}
            upload(file, where, digests_of(file), aws, says, lambda _: None)
    return f"s3://{bucket}/{prefix}"
