"""The records of steps: one file per step in the build folder, one record per deployment in S3."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import Field

from pipeline.config import Strategy
from pipeline.model import Model
from pipeline.release import ReleaseId
from pipeline.run import Run


class StoresJson(Protocol):
    """JSON documents by key, as AwsClient keeps them in the release bucket."""

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
    """One deployment that succeeded; `rollback` and `status` read it."""

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
    by: str | None = None  # the person who deployed it; None: an earlier version of the pipeline did
    strategy: Strategy | None = None  # as AWS describes it; None: no traffic moved, the endpoint was new


def record_step(run: Run, step: str, work: Callable[[], Model]) -> StepRecord:
    """Do `work` and write `<build>/<environment>/<step>.json` when it has succeeded.

    When it fails, no file is left: nobody takes an earlier run's result for this one's.
    """
    path = run.build / run.env.name / f"{step}.json"
    path.unlink(missing_ok=True)
    started, before = run.clock.now(), len(run.aws.made)
    result = work()
    finished = run.clock.now()
    record = StepRecord(
        step=step,
        environment=run.env.name,
        started=started,
        finished=finished,
        seconds=round(finished - started, 3),
        calls=tuple(run.aws.made[before:]),
        result=result.document(),
    )
    record.save(path)
    return record


def deployments(aws: StoresJson, environment: str) -> list[DeploymentRecord]:
    """Return the records of an environment's successful deployments, oldest first."""
    return [
        DeploymentRecord.model_validate(aws.get_json(key)) for key in aws.keys(f"deployments/{environment}/")
    ]


def last_deployment(aws: StoresJson, environment: str) -> DeploymentRecord | None:
    """Return the newest record of an environment without reading the others."""
    keys = aws.keys(f"deployments/{environment}/")
    return DeploymentRecord.model_validate(aws.get_json(keys[-1])) if keys else None


def record_deployment(aws: StoresJson, record: DeploymentRecord) -> None:
    """Keep a deployment for ever. Keys sort by time: milliseconds since 1970, 15 digits."""
    key = f"deployments/{record.environment}/{round(record.in_service_at * 1000):015d}-{record.release}.json"
    aws.put_json(key, record.document())
