"""Training jobs: they run `train` and put its model.tar.gz into S3.

All times are real: learning is work of this machine, not a duration that AWS owns.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_aws.clock import Clock
from local_aws.errors import AwsError, invalid
from local_aws.instances import LaunchError, Training, TrainingSpec
from local_aws.protocols import EveryRight, RoleRights
from local_aws.sagemaker.listing import Row, list_page
from local_aws.sagemaker.resources import ResourceStore, arn, is_taken
from local_aws.sagemaker.role_rights import StorageOfRole, refused_image
from local_aws.sagemaker.training_files import (
    REASON_CHARACTERS,
    JobFailed,
    Storage,
    failure_reason,
    upload,
    write_input,
)

STOP_GRACE_SECONDS = 120.0
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}

log = logging.getLogger(__name__)


@dataclass
class Job:
    """One training job: its request and its progress."""

    request: dict[str, Any]
    training: Training
    created: float
    shown: dict[str, Any] = field(default_factory=dict)
    """Fields that DescribeTrainingJob adds to the request."""
    transitions: list[dict[str, Any]] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        name: str = self.request["TrainingJobName"]
        return name

    @property
    def status(self) -> str:
        status: str = self.shown["TrainingJobStatus"]
        return status


class TrainingJobs:
    """The operations on training jobs."""

    def __init__(
        self,
        resource_store: ResourceStore,
        prepare: Callable[[TrainingSpec], Training],
        storage: Storage,
        clock: Clock,
        rights: RoleRights | None = None,
    ) -> None:
        self.all: dict[str, Job] = {}
        self._resource_store, self._prepare = resource_store, prepare
        self._storage, self._clock, self._rights = storage, clock, rights or EveryRight()

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin a job whose inputs are checked."""
        name, job_arn = request["TrainingJobName"], arn("training-job", request["TrainingJobName"])
        if is_taken(name, self.all):
            text = (
                "Training job names must be unique within an AWS account and region, and a training job "
                f"with this name already exists ({job_arn})"
            )
            raise AwsError("ResourceInUse", text)
        own = {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": job_arn}
        spec = TrainingSpec(
            request["AlgorithmSpecification"]["TrainingImage"],
            request.get("Environment", {}) | own,
            request["ResourceConfig"]["InstanceType"],
        )
        job = self.all[name] = Job(request, self._prepare(spec), self._clock.now())
        self._resource_store.tags[job_arn] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        self._enter(job, "Starting", "InProgress")
        job.task = asyncio.create_task(self._guard(job))
        return {"TrainingJobArn": job_arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Show a job."""
        job = self._find(request)
        given = {name: value for name, value in job.request.items() if name != "Tags"}
        own = {"TrainingJobArn": arn("training-job", job.name), "CreationTime": job.created}
        return given | own | job.shown | {"SecondaryStatusTransitions": job.transitions}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """List jobs."""
        summary = ("TrainingJobStatus", "SecondaryStatus", "TrainingEndTime", "LastModifiedTime")
        rows = [
            Row(
                job.name,
                job.created,
                job.shown["LastModifiedTime"],
                job.status,
                {"TrainingJobName": job.name, "TrainingJobArn": arn("training-job", job.name)}
                | {"CreationTime": job.created}
                | {name: job.shown[name] for name in summary if name in job.shown},
            )
            for job in self.all.values()
        ]
        return list_page(rows, {"SortOrder": "Ascending"} | request, "TrainingJobSummaries")

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to stop a job; its files in /opt/ml/model are kept."""
        job = self._find(request)
        if job.status not in ("InProgress", "Stopping"):
            text = f"The request was rejected because the training job is in status {job.status}."
            raise invalid(text)
        if job.status == "InProgress":
            self._enter(job, "Stopping", "Stopping")
            job.stop.set()
        return {}

    async def abandon(self) -> None:
        """Cancel all jobs, because the launcher will stop their processes."""
        tasks = [job.task for job in self.all.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _find(self, request: Mapping[str, Any]) -> Job:
        if request["TrainingJobName"] not in self.all:
            raise invalid("Requested resource not found.")
        return self.all[request["TrainingJobName"]]

    async def _guard(self, job: Job) -> None:
        """Run a job to a final status, whatever happens, and remove its files from this machine."""
        try:
            status, secondary = await self._work(job)
        except JobFailed as error:
            status = secondary = "Failed"
            job.shown["FailureReason"] = str(error)[:REASON_CHARACTERS]
        except Exception as error:
            log.exception("training job %s failed", job.name)
            status = secondary = "Failed"
            job.shown["FailureReason"] = f"InternalServerError: {type(error).__name__}: {error}"
        stream = f"{job.name}/algo-1-{int(job.created)}"
        log_text = await job.training.logs()
        await self._storage_of(job).keep_log("/aws/sagemaker/TrainingJobs", stream, log_text)
        await job.training.stop()
        job.shown["TrainingEndTime"] = self._clock.now()
        if "TrainingStartTime" in job.shown:
            seconds = int(job.shown["TrainingEndTime"] - job.shown["TrainingStartTime"])
            job.shown |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        self._enter(job, secondary, status)

    async def _work(self, job: Job) -> tuple[str, str]:
        """Do all steps of a job; return status and secondary status. Raises JobFailed."""
        self._enter(job, "Downloading")
        job.shown["TrainingStartTime"] = self._clock.now()
        image = job.request["AlgorithmSpecification"]["TrainingImage"]
        refused = refused_image(self._rights, job.request["RoleArn"], image)
        if refused:
            raise JobFailed(f"ClientError: {refused}")
        storage = self._storage_of(job)
        await asyncio.to_thread(write_input, job.request, job.training.root, storage)
        self._enter(job, "Training")
        code, exceeded = await _run(job)
        if code != 0 and not (job.stop.is_set() or exceeded):
            raise JobFailed(failure_reason(job.training.root, code))
        self._enter(job, "Uploading")
        uri = await asyncio.to_thread(upload, job.request, job.training.root, storage)
        if uri is not None:
            job.shown["ModelArtifacts"] = {"S3ModelArtifacts": uri}
        if job.stop.is_set():
            return "Stopped", "Stopped"
        return ("Stopped", "MaxRuntimeExceeded") if exceeded else ("Completed", "Completed")

    def _storage_of(self, job: Job) -> StorageOfRole:
        return StorageOfRole(self._storage, self._rights, job.request["RoleArn"])

    def _enter(self, job: Job, secondary: str, status: str | None = None) -> None:
        now = self._clock.now()
        if job.transitions:
            job.transitions[-1]["EndTime"] = now
        step = {"Status": secondary, "StartTime": now, "StatusMessage": MESSAGES[secondary]}
        job.transitions.append(step)
        job.shown |= {
            "SecondaryStatus": secondary,
            "TrainingJobStatus": status or job.status,
            "LastModifiedTime": now,
        }


async def _run(job: Job) -> tuple[int, bool]:
    """Run `train` until it ends, is stopped or times out; return its code and whether it timed out."""
    limit = job.request["StoppingCondition"].get("MaxRuntimeInSeconds")
    run = asyncio.create_task(job.training.run())
    stop = asyncio.create_task(job.stop.wait())
    try:
        await asyncio.wait({run, stop}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        exceeded = not run.done() and not stop.done()
        while not run.done():  # a run that is about to start cannot be ended yet
            await job.training.terminate(STOP_GRACE_SECONDS)
            await asyncio.wait({run}, timeout=0.1)
        return run.result(), exceeded
    except LaunchError as error:
        raise JobFailed(f"ClientError: {error}") from error
    finally:
        stop.cancel()
        run.cancel()
