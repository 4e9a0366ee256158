"""What the steps leave behind: one file per step on this machine, one record per deployment in S3."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from pipeline.config import Strategy
from pipeline.model import Model
from pipeline.release import ReleaseId

Say = Callable[[str], None]


class Bucket(Protocol):
    """What deployment records need of S3."""

    def put_json(self, key: str, document: Any) -> None: ...
    def get_json(self, key: str) -> Any | None: ...
    def keys(self, prefix: str) -> list[str]: ...


class StepRecord(Model):
    """One run of one step. `calls` are the sentences of the writes that it made."""

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    step: str
    environment: str
    started: float  # epoch seconds
    finished: float
    seconds: float
    calls: tuple[str, ...]
    result: dict[str, Any]


class DeploymentRecord(Model):
    """One deployment that succeeded: what `rollback` and `status` know of the past."""

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    environment: str
    endpoint: str
    release: ReleaseId
    config: str
    in_service_at: float  # epoch seconds
    run_url: str | None  # of the GitHub run that published the release
    deployed_by_run: str | None = (
        None  # address of the GitHub run that deployed it; None: no run of GitHub did
    )
    by: str | None = None  # who deployed it; None: an earlier version of the pipeline did
    strategy: Strategy | None = None  # as AWS told it; None: no traffic moved, the endpoint was new


def record_step(
    build: Path, environment: str, step: str, made: list[str], work: Callable[[], Model]
) -> StepRecord:
    """Run `work` and write `<build>/<environment>/<step>.json` when it has succeeded.

    When it fails, no file is left: nobody takes an earlier run's result for this one's.
    `made` is the list that AWS's door appends the sentence of each write to.
    """
    path = build / environment / f"{step}.json"
    path.unlink(missing_ok=True)
    started, before = time.time(), len(made)
    result = work()
    finished = time.time()
    record = StepRecord(
        step=step,
        environment=environment,
        started=started,
        finished=finished,
        seconds=round(finished - started, 3),
        calls=tuple(made[before:]),
        result=result.document(),
    )
    record.save(path)
    return record


def read_step(build: Path, environment: str, step: str) -> StepRecord | None:
    """Return the record of the last run of a step; None when it has not run here."""
    path = build / environment / f"{step}.json"
    return StepRecord.model_validate_json(path.read_text()) if path.is_file() else None


def deployments(aws: Bucket, environment: str) -> list[DeploymentRecord]:
    """Return the records of an environment's successful deployments, oldest first."""
    return [
        DeploymentRecord.model_validate(aws.get_json(key)) for key in aws.keys(f"deployments/{environment}/")
    ]


def last_deployment(aws: Bucket, environment: str) -> DeploymentRecord | None:
    """Return the newest record of an environment without reading the others."""
    keys = aws.keys(f"deployments/{environment}/")
    return DeploymentRecord.model_validate(aws.get_json(keys[-1])) if keys else None


def record_deployment(aws: Bucket, record: DeploymentRecord) -> None:
    """Keep a deployment for ever. Keys sort by time: milliseconds since 1970, 15 digits."""
    key = f"deployments/{record.environment}/{round(record.in_service_at * 1000):015d}-{record.release}.json"
    aws.put_json(key, record.document())
