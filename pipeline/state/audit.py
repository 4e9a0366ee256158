"""The audit trail: one line in S3 for every step, with its user, time, release and outcome.

S3 cannot append: each line is an object of its own, whose key sorts by time. No line is ever replaced.
"""

import getpass
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from pipeline.aws import AwsClient
from pipeline.ci import github_run_url
from pipeline.errors import PipelineError
from pipeline.model import Model
from pipeline.run import Run

log = logging.getLogger(__name__)

Outcome = Literal["succeeded", "failed", "interrupted"]


class AuditLine(Model):
    """One step. `who`: the ARN that AWS knew; `user`: the name that GitHub or this machine knew."""

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    at: float  # epoch seconds, when it ended
    seconds: float
    environment: str
    step: str
    release: str | None  # None: the step ended before there was a release, or concerns none
    outcome: Outcome
    error: str | None
    calls: int  # writes that it made
    who: str  # ARN
    user: str
    host: str
    run_url: str | None
    unchecked: bool = False  # about a release without golden requests
    accepted: dict[str, str] = Field(default_factory=dict)  # by gate, why a person took its verdict
    judged: str | None = (
        None  # the verdict on the bake and the way that was taken; None: nothing was compared
    )

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        how = f"{self.outcome}: {self.error}" if self.error else self.outcome
        mark = " UNCHECKED" if self.unchecked else ""
        judged = f" (bake: {self.judged})" if self.judged else ""
        accepted = "".join(f" (accepted {gate}: {reason})" for gate, reason in self.accepted.items())
        release = f"{self.step} {self.release or '–'}{mark}"
        return f"{when}  {release}  {how}{judged}{accepted}  {self.user} ({self.who})"


class AuditTrail(Model):
    """Lines of one environment, oldest first."""

    lines: tuple[AuditLine, ...]


@dataclass
class AuditEntry:
    """The part of a line that only the running step knows."""

    release: str | None
    unchecked: bool = False
    judged: str | None = None
    accepted: dict[str, str] = field(default_factory=dict)


def judged_in_words(result: Mapping[str, Any]) -> str | None:
    """Return the verdict on the bake by the result of `deploy` or `promote`, and the way that was taken."""
    judged = result.get("judged") or (result.get("deploy") or {}).get("judged")
    return f"{judged['verdict']}, {judged['taken']}" if judged else None


def audit_prefix(environment: str) -> str:
    """Return the key prefix of an environment's lines in the release bucket."""
    return f"audit/{environment}/"


@contextmanager
def audited(step: str, run: Run, release: str | None) -> Iterator[AuditEntry]:
    """Write an audit line about the step within, whether it succeeds, fails or is interrupted.

    If the line cannot be written, a warning is logged and the step's own error is raised.
    """
    entry, started, before = AuditEntry(release), run.clock.now(), len(run.aws.made)
    outcome: Outcome = "interrupted"
    error: str | None = None
    try:
        yield entry
        outcome = "succeeded"
    except Exception as failure:
        outcome, error = "failed", type(failure).__name__
        entry.judged = getattr(failure, "judged", None)
        entry.accepted = getattr(failure, "accepted", None) or {}
        raise
    finally:
        ended = run.clock.now()
        line = AuditLine(
            at=ended,
            seconds=round(ended - started, 3),
            environment=run.env.name,
            step=step,
            release=entry.release,
            outcome=outcome,
            error=error,
            calls=len(run.aws.made) - before,
            who=run.aws.caller_arn(),
            user=user_of(os.environ),
            host=socket.gethostname(),
            run_url=github_run_url(),
            unchecked=entry.unchecked,
            judged=entry.judged,
            accepted=entry.accepted,
        )
        _write(line, run.aws)


def user_of(environ: Mapping[str, str]) -> str:
    """Return the name of the person: GitHub's, else this machine's."""
    return environ.get("GITHUB_ACTOR") or getpass.getuser()


def audit_lines(run: Run, newest: int) -> list[AuditLine]:
    """Return the newest lines of an environment, oldest first."""
    keys = run.aws.keys(audit_prefix(run.env.name))[-newest:]
    return [AuditLine.model_validate(run.aws.get_json(key)) for key in keys]


def _write(line: AuditLine, aws: AwsClient) -> None:
    """Write a line. It is no call of the step itself: `aws.made` does not list it."""
    key = f"{audit_prefix(line.environment)}{round(line.at * 1000):015d}-{line.step}.json"
    params = {"Bucket": aws.place.bucket, "Key": key, "ContentType": "application/json"}
    body = (json.dumps(line.document()) + "\n").encode()
    try:
        aws.read("s3", "put_object", **params, Body=body, IfNoneMatch="*")
    except PipelineError as error:
        log.warning(f"warning: no audit line of this {line.step} was kept: {error.what}")
