"""One change of an environment at a time: a lock in the release bucket, taken by a conditional write.

S3 keeps the first of two writers (`If-None-Match: *`) and lets a lock change hands only when it is still the
one that was looked at (`If-Match`). Its holder writes it anew every minute; how long it has been silent is told
by S3's own clock. A holder whose process is gone, or that has been silent too long, holds nothing.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.errors import AwsRefused, EnvironmentLocked, PipelineError
from pipeline.model import Model
from pipeline.state.lock_info import Holder, this_process, why_void
from pipeline.state.records import Say

RENEWAL_SECONDS = 60.0
ROUNDS = 5  # in each, somebody else has changed the lock between two looks
SOMEBODY_ELSES = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class UnlockResult(Model):
    """Whose lock was broken; None: there was none."""

    environment: str
    broken: Holder | None


@dataclass(frozen=True)
class Found:
    """A lock that is there. `silent_seconds`: since it was last written, by S3's clock."""

    holder: Holder
    etag: str
    silent_seconds: float


def lock_key(environment: str) -> str:
    """Where the lock of an environment is in the release bucket."""
    return f"locks/{environment}.json"


def look_at_lock(env: Environment, aws: Aws) -> Found | None:
    """Return the lock of an environment; None when nobody holds it."""
    found = aws.find("s3", "get_object", Bucket=env.aws.bucket, Key=lock_key(env.name))
    if found is None:
        return None
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    silent = max(0.0, (now - found["LastModified"]).total_seconds())
    return Found(Holder.model_validate_json(found["Body"].read()), found["ETag"], silent)


@dataclass
class Hold:
    """A lock that this process holds."""

    env: Environment
    aws: Aws
    holder: Holder
    etag: str
    lost: str = ""  # to whom
    _write: threading.Lock = field(default_factory=threading.Lock)

    def renew(self) -> None:
        """Write it anew; when it has changed hands, remember to whom it was lost."""
        with self._write:
            etag = _put(self.env, self.aws, self.holder, IfMatch=self.etag)
            if etag is None:
                now = look_at_lock(self.env, self.aws)
                self.lost = str(now.holder) if now else "somebody who has broken it"
            else:
                self.etag = etag

    def require(self) -> None:
        """Raises EnvironmentLocked once another runner has it: this one must change nothing any more."""
        if self.lost:
            raise EnvironmentLocked(
                f"The lock of {self.env.name} was lost to {self.lost}; this run has stopped changing things.",
                fix="Let that run finish, then run the same command again.",
            )

    def release(self) -> None:
        """Remove it, unless it is somebody else's by now."""
        with self._write:
            _delete(self.env, self.aws, self.etag)


@contextmanager
def environment_lock(
    env: Environment, aws: Aws, step: str, say: Say, renewal_seconds: float = RENEWAL_SECONDS
) -> Iterator[Hold]:
    """Hold the lock of `env` for the length of one step. Raises EnvironmentLocked when another run has it.

    A failure to release it does not hide how the step ended: a lock whose process is gone is void.
    """
    hold = take(env, aws, this_process(env.name, step, os.environ), say)
    ended = threading.Event()
    renewing = threading.Thread(target=_keep, args=(hold, ended, renewal_seconds, say), daemon=True)
    renewing.start()
    aws.before_write = hold.require
    try:
        yield hold
    finally:
        ended.set()
        aws.before_write = _nothing
        try:
            hold.release()
        except PipelineError as error:
            say(f"the lock of {env.name} could not be released, and is void once this process ends: {error}")


def _keep(hold: Hold, ended: threading.Event, every_seconds: float, say: Say) -> None:
    while not hold.lost and not ended.wait(every_seconds):
        try:
            hold.renew()
        except PipelineError as error:  # the next renewal may come through; until then it is ours
            say(f"the lock of {hold.env.name} was not renewed: {error.what}")


def _nothing() -> None: ...


def take(env: Environment, aws: Aws, me: Holder, say: Say) -> Hold:
    """Take the lock, also from a holder that is gone. Raises EnvironmentLocked with owner and age."""
    for _ in range(ROUNDS):
        etag = _put(env, aws, me, IfNoneMatch="*")
        if etag is not None:
            return Hold(env, aws, me, etag)
        found = look_at_lock(env, aws)
        if found is None:
            continue
        if found.holder.token == me.token:  # the answer to the first try was lost on its way
            return Hold(env, aws, me, found.etag)
        why = why_void(found.holder, me, found.silent_seconds)
        if why is None:
            raise _locked(env, found)
        etag = _put(env, aws, me, IfMatch=found.etag)
        if etag is not None:
            say(f"the lock of {env.name} by {found.holder} is void: {why}")
            return Hold(env, aws, me, etag)
    raise EnvironmentLocked(
        f"Others took the lock of {env.name} in each of {ROUNDS} rounds.", fix="Run the same command again."
    )


def _locked(env: Environment, found: Found) -> EnvironmentLocked:
    return EnvironmentLocked(
        f"{env.name} is being changed by {found.holder}; last sign of life {found.silent_seconds:.0f} s ago.",
        fix="Wait for it, then run the same command again. If you know that it is dead: "
        f"`python -m pipeline unlock --env {env.name}`.",
    )


def unlock(env: Environment, aws: Aws, say: Say) -> UnlockResult:
    """Break the lock of `env`, whoever holds it; a holder that lives stops at its next write."""
    found = look_at_lock(env, aws)
    if found is None:
        say(f"{env.name} is not locked")
        return UnlockResult(environment=env.name, broken=None)
    say(f"break the lock of {env.name} by {found.holder}, silent for {found.silent_seconds:.0f} s")
    if not _delete(env, aws, found.etag):
        raise EnvironmentLocked(
            f"The lock of {env.name} was renewed just now by {found.holder}: its holder lives.",
            fix="Stop that run first, then run the same command again.",
        )
    return UnlockResult(environment=env.name, broken=found.holder)


def _put(env: Environment, aws: Aws, holder: Holder, **condition: str) -> str | None:
    """Write the lock and return its ETag; None when the condition does not hold."""
    params: dict[str, Any] = {"Bucket": env.aws.bucket, "Key": lock_key(env.name), **condition}
    try:
        answer = aws.read("s3", "put_object", Body=holder.model_dump_json(indent=2).encode(), **params)
    except AwsRefused as error:
        if error.code in SOMEBODY_ELSES | {"NoSuchKey"}:
            return None
        raise
    return str(answer["ETag"])


def _delete(env: Environment, aws: Aws, etag: str) -> bool:
    """Delete the lock if it is still this one; say whether it was."""
    try:
        aws.read("s3", "delete_object", Bucket=env.aws.bucket, Key=lock_key(env.name), IfMatch=etag)
    except AwsRefused as error:
        if error.code in SOMEBODY_ELSES | {"NoSuchKey"}:
            return False
        raise
    return True
