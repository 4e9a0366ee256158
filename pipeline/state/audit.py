"""Who did what, when, with which release, and how it ended: one line for every step, kept in S3.

S3 cannot append: each line is an object of its own, whose key sorts by time. Nothing replaces one.
"""

import getpass
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from pipeline.aws import Aws
from pipeline.ci import github_run_url
from pipeline.errors import PipelineError
from pipeline.model import Model
from pipeline.state.records import Say

Outcome = Literal["succeeded", "failed", "interrupted"]


class AuditLine(Model):
    """One step. `who` is whom AWS knew, `user` whom GitHub or this machine did."""

    schema_version: Literal[1] = Field(default=1, validation_alias="schema", serialization_alias="schema")
    at: float  # epoch seconds, when it ended
    seconds: float
    environment: str
    step: str
    release: str | None  # None: it ended before there was one, or is about none
    outcome: Outcome
    error: str | None
    calls: int  # writes that it made
    who: str  # ARN
    user: str
    host: str
    run_url: str | None

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        how = f"{self.outcome}: {self.error}" if self.error else self.outcome
        return f"{when}  {self.step} {self.release or '–'}  {how}  {self.user} ({self.who})"


class AuditTrail(Model):
    """Lines of one environment, oldest first."""

    lines: tuple[AuditLine, ...]


@dataclass
class Entry:
    """What a step tells about itself while it runs."""

    release: str | None


def audit_prefix(environment: str) -> str:
    """Where the lines of an environment are."""
    return f"audit/{environment}/"


@contextmanager
def audited(step: str, environment: str, release: str | None, aws: Aws, say: Say) -> Iterator[Entry]:
    """Keep a line about the step within, however it ends.

    A line that cannot be kept is said; it does not hide how the step itself ended.
    """
    entry, started, before = Entry(release), time.time(), len(aws.made)
    outcome: Outcome = "interrupted"
    error: str | None = None
    try:
        yield entry
        outcome = "succeeded"
    except PipelineError as failure:
        outcome, error = "failed", type(failure).__name__
        raise
    except Exception as defect:
        outcome, error = "failed", type(defect).__name__
        raise
    finally:
        ended = time.time()
        line = AuditLine(
            at=ended,
            seconds=round(ended - started, 3),
            environment=environment,
            step=step,
            release=entry.release,
            outcome=outcome,
            error=error,
            calls=len(aws.made) - before,
            who=aws.caller_arn(),
            user=user_of(os.environ),
            host=socket.gethostname(),
            run_url=github_run_url(),
        )
        _keep(line, aws, say)


def user_of(environ: Mapping[str, str]) -> str:
    """Name the person: GitHub's, else this machine's."""
    return environ.get("GITHUB_ACTOR") or getpass.getuser()


def lines(environment: str, aws: Aws, newest: int) -> list[AuditLine]:
    """Return the newest lines of an environment, oldest first."""
    keys = aws.keys(audit_prefix(environment))[-newest:]
    return [AuditLine.model_validate(aws.get_json(key)) for key in keys]


def _keep(line: AuditLine, aws: Aws, say: Say) -> None:
    """Write a line, which is no call of the step itself: it is not among those that were made."""
    key = f"{audit_prefix(line.environment)}{round(line.at * 1000):015d}-{line.step}.json"
    params = {"Bucket": aws.env.aws.bucket, "Key": key, "ContentType": "application/json"}
    body = (json.dumps(line.document()) + "\n").encode()
    try:
        aws.read("s3", "put_object", **params, Body=body, IfNoneMatch="*")
    except PipelineError as error:
        say(f"warning: no audit line of this {line.step} was kept: {error.what}")
