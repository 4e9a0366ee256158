"""Training jobs through boto3: `train` runs, and its model is in S3."""

import asyncio
import json
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

import local_aws
from local_aws.instances import Launcher, TrainingSpec
from local_aws.testing import wait_until
from testbed.serving import SETTINGS, refused
from testbed.tiny_instances import built, files_below, process_settings
from testbed.training_jobs import Jobs

pytestmark = pytest.mark.starts_processes

TINY = Path(__file__).parent / "testbed" / "tiny_train"


@pytest.fixture(scope="module")
def jobs(aws: local_aws.Running) -> Jobs:
    return Jobs(aws, "training")


def test_a_job_reads_its_channels_and_leaves_its_model_in_s3(jobs: Jobs) -> None:
    for key in ("data/train/a.csv", "data/train/deep/b.csv", "data/train/", "data/training.csv", "one.csv"):
        jobs.s3.put_object(Bucket="training", Key=key, Body=key.encode())
    name = jobs.begin(
        HyperParameters={"epochs": "3"},
        InputDataConfig=[
            jobs.channel("training", "s3://training/data/train"),
            jobs.channel("single", "s3://training/one.csv"),
        ],
        Tags=[{"Key": "team", "Value": "one"}],
    )
    job = jobs.ended(name)

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://training/jobs/{name}/output/model.tar.gz"
    seen = json.loads(jobs.artifact(job["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"])
    config = seen["files"].pop("input/config/resourceconfig.json")
    assert json.loads(config)["hosts"] == ["algo-1"]
    assert set(json.loads(seen["files"].pop("input/config/inputdataconfig.json"))) == {"training", "single"}
    assert seen["files"] == {
        "input/config/hyperparameters.json": '{"epochs": "3"}',
        "input/data/training/a.csv": "data/train/a.csv",
        "input/data/training/deep/b.csv": "data/train/deep/b.csv",
        "input/data/single/one.csv": "one.csv",
    }
    assert seen["environ"] == {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": job["TrainingJobArn"]}
    report = jobs.artifact(f"s3://training/jobs/{name}/output/output.tar.gz")
    assert report == {"report.txt": b"what was measured"}
    tags = jobs.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "one"}]


def test_a_job_tells_its_steps_and_keeps_its_log(aws: local_aws.Running, jobs: Jobs) -> None:
    job = jobs.ended(jobs.begin())

    steps = job["SecondaryStatusTransitions"]
    assert [step["Status"] for step in steps] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert all(one["EndTime"] == two["StartTime"] for one, two in pairwise(steps))
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    logs, group = aws.client("logs"), "/aws/sagemaker/TrainingJobs"
    prefix = f"{job['TrainingJobName']}/algo-1-"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    kept = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert [event["message"] for event in kept] == ["learning"]


def test_a_failed_job_says_why_in_the_words_of_its_container(jobs: Jobs) -> None:
    reason = "channel training: " + "no digits " * 200
    job = jobs.ended(jobs.begin(HyperParameters={"failure": reason, "code": "7"}))

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: channel training: no digits")
    assert job["FailureReason"].endswith(", exit code: 7")
    assert len(job["FailureReason"]) == 1024
    assert "S3ModelArtifacts" not in job.get("ModelArtifacts", {})


@pytest.mark.parametrize("uri", ["s3://training/nothing/here", "s3://no-such-bucket/data"])
def test_a_job_without_its_data_is_refused_with_the_address(jobs: Jobs, uri: str) -> None:
    channel = jobs.channel("training", uri)
    call = jobs.sagemaker.create_training_job

    text = refused("ValidationException", call, **jobs.request(InputDataConfig=[channel]))
    assert text.startswith(f'No S3 objects found under S3 URL "{uri}" given in input data source.')


def test_a_job_without_a_bucket_for_its_model_fails_with_the_address(jobs: Jobs) -> None:
    homeless = jobs.begin(OutputDataConfig={"S3OutputPath": "s3://no-such-bucket/"})

    assert "no-such-bucket" in jobs.ended(homeless)["FailureReason"]


def test_a_stopped_job_keeps_what_it_has_learnt(jobs: Jobs) -> None:
    name = jobs.begin(HyperParameters={"wait": "yes"})
    wait_until(lambda: jobs.describe(name)["SecondaryStatus"] == "Training", f"{name} trains")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.ended(name)

    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    assert "Stopping" in [step["Status"] for step in job["SecondaryStatusTransitions"]]
    message = refused("ValidationException", jobs.sagemaker.stop_training_job, TrainingJobName=name)
    assert "in status Stopped" in message


def test_a_job_whose_time_is_up_is_stopped_in_order(jobs: Jobs) -> None:
    name = jobs.begin(HyperParameters={"wait": "yes"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = jobs.ended(name)

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert jobs.artifact(job["ModelArtifacts"]["S3ModelArtifacts"])["stopped"] == b"in order"


def test_names_are_unique_and_lists_are_in_order(jobs: Jobs) -> None:
    first, second = jobs.begin(), jobs.begin()
    create, call = jobs.sagemaker.create_training_job, jobs.sagemaker.describe_training_job
    assert "must be unique" in refused("ResourceInUse", create, **jobs.request(TrainingJobName=first))
    message = refused("ValidationException", call, TrainingJobName="nobody")
    assert message == "Requested resource not found."
    jobs.ended(first), jobs.ended(second)

    listed = jobs.sagemaker.list_training_jobs(StatusEquals="Completed")["TrainingJobSummaries"]
    names = [job["TrainingJobName"] for job in listed]
    assert names.index(first) < names.index(second)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("NotImplementedByLocalAws", {"EnableManagedSpotTraining": True}),
        ("NotImplementedByLocalAws", {"CheckpointConfig": {"S3Uri": "s3://training/points"}}),
        (
            "NotImplementedByLocalAws",
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}},
        ),
        (
            "NotImplementedByLocalAws",
            {"AlgorithmSpecification": {"TrainingImage": "tiny", "TrainingInputMode": "Pipe"}},
        ),
        ("ValidationException", {"AlgorithmSpecification": {"TrainingInputMode": "File"}}),
        (
            "ValidationException",
            {"ResourceConfig": {"InstanceType": "ml.p5.48xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}},
        ),
    ],
)
def test_what_no_job_here_could_do_is_refused(jobs: Jobs, code: str, change: dict[str, Any]) -> None:
    assert jobs.sagemaker.create_training_job(**jobs.request(EnableManagedSpotTraining=False))
    refused(code, jobs.sagemaker.create_training_job, **jobs.request(**change))


def test_a_job_of_a_run_that_was_killed_is_swept_by_the_next(tmp_path: Path) -> None:
    """Kill -9 of this AWS while it trains: the process goes on, until the next start removes it."""
    settings: dict[str, Any] = {**SETTINGS, "state_dir": tmp_path / "state", "cache_dir": tmp_path / "cache"}
    with local_aws.start(**settings) as aws:
        jobs = Jobs(aws, "swept")
        name = jobs.begin(HyperParameters={"wait": "yes"})
        wait_until(
            lambda: list(tmp_path.glob("state/started/*/i-*/opt-ml/model/seen.json")), f"{name} trains"
        )
        (record,) = tmp_path.glob("state/started/*/i-*.json")
        pid = json.loads(record.read_text())["pid"]
        os.kill(aws.pid, signal.SIGKILL)
        wait_until(
            lambda: not psutil.pid_exists(aws.pid) or psutil.Process(aws.pid).status() == "zombie", "dead"
        )
    assert psutil.pid_exists(pid)

    with local_aws.start(**settings):
        wait_until(lambda: not psutil.pid_exists(pid), "the orphan is gone")
    assert not files_below(tmp_path / "state")


@pytest.mark.docker
def test_a_container_trains_as_a_process_does(tmp_path: Path) -> None:
    """Its /opt/ml is copied in and out; SIGTERM ends it in order; nothing of it stays."""

    async def one(launcher: Launcher, image: str, settings: dict[str, str]) -> tuple[int, set[str], str]:
        spec = TrainingSpec(image, {"TRAINING_JOB_NAME": "one"}, "ml.m5.large")
        training = launcher.training(spec)
        (training.root / "input/config/hyperparameters.json").write_text(json.dumps(settings))
        run = asyncio.create_task(training.run())
        while "wait" in settings and not run.done() and "learning" not in await training.logs():
            await asyncio.sleep(0.05)
        if "wait" in settings:
            await training.terminate(10)
        code, log = await run, await training.logs()
        made = {str(path.relative_to(training.root)) for path in files_below(training.root)}
        await training.stop()
        return code, made, log

    async def scenario(image: str) -> list[tuple[int, set[str], str]]:
        launcher = Launcher(process_settings(tmp_path, instances="docker"))
        try:
            cases: list[dict[str, str]] = [{}, {"failure": "no digits", "code": "7"}, {"wait": "yes"}]
            return [await one(launcher, image, settings) for settings in cases]
        finally:
            await launcher.close(grace_seconds=2.0)

    with built(context=TINY) as image:
        learnt, failed, stopped = asyncio.run(scenario(image))

    assert (learnt[0], failed[0], stopped[0]) == (0, 7, 143)
    assert {"model/seen.json", "output/data/report.txt"} <= learnt[1]
    assert "output/failure" in failed[1]
    assert "model/stopped" in stopped[1]
    assert learnt[2] == "learning\n"
    assert not files_below(tmp_path / "state")
