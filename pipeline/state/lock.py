"""One change of an environment at a time: a lock in the release bucket, acquired by a conditional write.

S3 keeps the first of two writers (`If-None-Match: *`) and replaces a lock only while it is still the one that was
read (`If-Match`). A run renews its lock every minute; S3's own clock says how old a lock is. A lock is stale when
its process is gone, or when it was not renewed for ten minutes.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from pipeline.errors import AwsRefused, EnvironmentLocked, PipelineError
from pipeline.model import Model
from pipeline.run import Run
from pipeline.state.lock_info import LockInfo, stale_reason, this_process

log = logging.getLogger(__name__)

RENEWAL_SECONDS = 60.0
ROUNDS = 5  # in each, another run has changed the lock between two reads
SOMEBODY_ELSES = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class UnlockResult(Model):
    """The lock that was broken; None: there was none."""

    environment: str
    broken: LockInfo | None


@dataclass(frozen=True)
class StoredLock:
    """A lock in the bucket. `silent_seconds`: since it was last written, by S3's clock."""

    info: LockInfo
    etag: str
    silent_seconds: float


def lock_key(environment: str) -> str:
    """Return the key of an environment's lock in the release bucket."""
    return f"locks/{environment}.json"


def read_lock(run: Run) -> StoredLock | None:
    """Return the lock of an environment; None when it is not locked."""
    found = run.aws.find("s3", "get_object", Bucket=run.env.aws.bucket, Key=lock_key(run.env.name))
    if found is None:
        return None
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    silent = max(0.0, (now - found["LastModified"]).total_seconds())
    return StoredLock(LockInfo.model_validate_json(found["Body"].read()), found["ETag"], silent)


@dataclass
class Lock:
    """A lock that this process holds. `lost`: the run that has taken it over; empty while it is held."""

    run: Run
    info: LockInfo
    etag: str
    lost: str = ""
    _write: threading.Lock = field(default_factory=threading.Lock)

    def renew(self) -> None:
        """Write it anew; when another run has taken it over, note which one."""
        with self._write:
            etag = _put(self.run, self.info, IfMatch=self.etag)
            if etag is None:
                now = read_lock(self.run)
                self.lost = str(now.info) if now else "somebody who has broken it"
            else:
                self.etag = etag

    def require(self) -> None:
        """Look at the lock, and return while it is held. Raises EnvironmentLocked once another run has taken it over."""
        with self._write:
            if (
                not self.lost
                and (now := read_lock(self.run)) is not None
                and now.info.token == self.info.token
            ):
                return
            self.lost = self.lost or (str(now.info) if now else "somebody who has broken it")
        raise EnvironmentLocked(
            f"The lock of {self.run.env.name} was lost to {self.lost}; this run has stopped changing things.",
            fix="Let that run finish, then run the same command again.",
        )

    def release(self) -> None:
        """Delete it, unless another run has taken it over."""
        with self._write:
            _delete(self.run, self.etag)


@contextmanager
def environment_lock(run: Run, step: str, renewal_seconds: float = RENEWAL_SECONDS) -> Iterator[Lock]:
    """Hold the lock of the environment for the length of one step. Raises EnvironmentLocked when another run has it.

    If releasing fails, a warning is logged and the step's own error is raised: a lock whose process is gone is stale.
    """
    lock = acquire(run, this_process(run.env.name, step, os.environ))
    ended = threading.Event()
    renewing = threading.Thread(target=_keep_renewed, args=(lock, ended, renewal_seconds), daemon=True)
    renewing.start()
    run.aws.before_write = lock.require
    try:
        yield lock
    finally:
        ended.set()
        run.aws.before_write = _nothing
        try:
            lock.release()
        except PipelineError as error:
            name = run.env.name
            log.warning(
                f"the lock of {name} could not be released; it is void on this machine once this process ends, "
                f"elsewhere ten minutes after its last renewal: {error.what}"
            )


def _keep_renewed(lock: Lock, ended: threading.Event, every_seconds: float) -> None:
    while not lock.lost and not ended.wait(every_seconds):
        try:
            lock.renew()
        except PipelineError as error:  # the next renewal may succeed; until then the lock is held
            log.warning(f"the lock of {lock.run.env.name} was not renewed: {error.what}")


def _nothing() -> None: ...


def acquire(run: Run, me: LockInfo) -> Lock:
    """Acquire the lock, also when it is stale. Raises EnvironmentLocked with owner and age."""
    for _ in range(ROUNDS):
        etag = _put(run, me, IfNoneMatch="*")
        if etag is not None:
            return Lock(run, me, etag)
        found = read_lock(run)
        if found is None:
            continue
        if found.info.token == me.token:  # the answer to the first try was lost on its way
            return Lock(run, me, found.etag)
        reason = stale_reason(found.info, me, found.silent_seconds)
        if reason is None:
            raise _locked(run.env.name, found)
        etag = _put(run, me, IfMatch=found.etag)
        if etag is not None:
            log.warning(f"the lock of {run.env.name} by {found.info} is void: {reason}")
            return Lock(run, me, etag)
    raise EnvironmentLocked(
        f"Others took the lock of {run.env.name} in each of {ROUNDS} rounds.",
        fix="Run the same command again.",
    )


def _locked(environment: str, found: StoredLock) -> EnvironmentLocked:
    return EnvironmentLocked(
        f"{environment} is being changed by {found.info}; last sign of life {found.silent_seconds:.0f} s ago.",
        fix="Wait for it, then run the same command again. If you know that it is dead: "
        f"`python -m pipeline unlock --env {environment}`.",
    )


def unlock(run: Run, *, confirm: Callable[[str], bool]) -> UnlockResult:
    """Break the lock of the environment. A holder that is still alive stops before its next write.

    `confirm` is asked before the lock of a run that may be alive is broken; a stale lock is broken unasked. Raises
    EnvironmentLocked when the answer is no.
    """
    name, found = run.env.name, read_lock(run)
    if found is None:
        log.info(f"{name} is not locked")
        return UnlockResult(environment=name, broken=None)
    reason = stale_reason(found.info, this_process(name, "unlock", os.environ), found.silent_seconds)
    silent = f"last sign of life {found.silent_seconds:.0f} s ago"
    if reason is None and not confirm(f"{name} is being changed by {found.info}; {silent}."):
        raise EnvironmentLocked(
            f"{name} is being changed by {found.info}; {silent}. Its lock was not broken.",
            fix="Wait for that run, or stop it. If you know that it is dead: "
            f"`python -m pipeline unlock --env {name} --force`.",
        )
    log.info(f"break the lock of {name} by {found.info}: {reason or silent}")
    if not _delete(run, found.etag):
        raise EnvironmentLocked(
            f"The lock of {name} was renewed just now by {found.info}: that run is alive.",
            fix="Stop that run first, then run the same command again.",
        )
    return UnlockResult(environment=name, broken=found.info)


def _put(run: Run, info: LockInfo, **condition: str) -> str | None:
    """Write the lock and return its ETag; None when the condition is not met."""
    params: dict[str, Any] = {"Bucket": run.env.aws.bucket, "Key": lock_key(run.env.name), **condition}
    try:
        answer = run.aws.read("s3", "put_object", Body=info.model_dump_json(indent=2).encode(), **params)
    except AwsRefused as error:
        if error.code in SOMEBODY_ELSES | {"NoSuchKey"}:
            return None
        raise
    return str(answer["ETag"])


def _delete(run: Run, etag: str) -> bool:
    """Delete the lock if it still has this ETag; say whether it had."""
    params = {"Bucket": run.env.aws.bucket, "Key": lock_key(run.env.name)}
    try:
        run.aws.read("s3", "delete_object", **params, IfMatch=etag)
    except AwsRefused as error:
        if error.code in SOMEBODY_ELSES | {"NoSuchKey"}:
            return False
        raise
    return True
