"""One change of an environment at a time: the lock, its renewal, and the lock of a dead process."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeline.aws import AwsClient, Call
from pipeline.errors import AwsUnreachable, EnvironmentLocked
from pipeline.run import Run
from pipeline.state.lock import Lock, acquire, environment_lock, lock_key, read_lock, unlock
from pipeline.state.lock_info import SILENT_SECONDS, LockInfo, stale_reason, this_process
from tests.pipeline.scene import ROOT, wait_for

Said = Callable[[], list[str]]
WRITE = Call("s3", "put_object", {"Bucket": "none", "Key": "k", "Body": b""}, "write k")


def info(**changes: Any) -> LockInfo:
    return this_process("staging", "deploy", {}).model_copy(update=changes)


def locked(account: Run, **changes: Any) -> Lock:
    return acquire(account, info(**changes))


def gone() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_the_second_run_is_told_who_is_changing_the_environment(account: Run) -> None:
    with environment_lock(account, "deploy"):
        with pytest.raises(EnvironmentLocked, match=r"`deploy` of .+@.+ \(process \d+\) since") as told:
            locked(account)

        assert "unlock --env staging" in told.value.fix
        assert "last sign of life" in told.value.what
    assert read_lock(account) is None
    locked(account)


def test_a_lock_is_released_when_the_step_fails(account: Run) -> None:
    with pytest.raises(ZeroDivisionError), environment_lock(account, "deploy"):
        _ = 1 / 0

    assert read_lock(account) is None


@pytest.mark.starts_processes
def test_the_lock_of_a_process_that_is_gone_is_taken_over(account: Run, said: Said) -> None:
    locked(account, pid=gone())
    mine = acquire(account, info())
    found = read_lock(account)

    assert found is not None
    assert found.info == mine.info
    assert found.silent_seconds < 30
    assert "is void: its process" in said()[0]


@pytest.mark.parametrize(
    ("changes", "mine", "silent", "why"),
    [
        ({}, {}, 0.0, None),
        ({"pid": 7}, {}, 0.0, "its process 7 is gone"),
        ({"pid": 7, "host": "another"}, {}, 0.0, None),
        ({"host": "another"}, {}, SILENT_SECONDS, None),
        ({"host": "another"}, {}, SILENT_SECONDS + 1, "silent for 601 s"),
        ({"host": "another", "run": "1", "attempt": 1}, {"run": "1", "attempt": 2}, 0.0, "attempt 1 of this"),
        ({"host": "another", "run": "1", "attempt": 1}, {"run": "2", "attempt": 2}, 0.0, None),
        ({"host": "another", "run": "1", "attempt": 2}, {"run": "1", "attempt": 2}, 0.0, None),
    ],
)
def test_a_lock_is_void_only_when_its_holder_cannot_be_alive(
    changes: dict[str, Any], mine: dict[str, Any], silent: float, why: str | None
) -> None:
    found = stale_reason(info(**changes), info(**mine), silent, is_alive=lambda pid: pid != 7)

    assert found == why if why is None else why in str(found)


def test_a_run_whose_lock_was_broken_changes_nothing_any_more(account: Run) -> None:
    with environment_lock(account, "deploy") as mine:
        broken = unlock(account, confirm=lambda _: True).broken
        theirs = locked(account)

        assert broken == mine.info
        with pytest.raises(EnvironmentLocked, match="was lost to `deploy` of"):
            account.aws.apply(WRITE)
    found = read_lock(account)
    assert found is not None
    assert found.info == theirs.info, "the lock of the run that took over stays"


def test_a_run_whose_lock_was_broken_and_taken_by_nobody_changes_nothing_either(account: Run) -> None:
    with environment_lock(account, "deploy"):
        unlock(account, confirm=lambda _: True)

        with pytest.raises(EnvironmentLocked, match="was lost to somebody who has broken it"):
            account.aws.apply(WRITE)


def test_a_lock_that_cannot_be_looked_at_stops_the_write(account: Run) -> None:
    """Refuse to write while it is not known whether the lock is still held."""
    run = replace(account, aws=Blind(account.env.aws))
    with environment_lock(run, "deploy") as mine:
        with pytest.raises(AwsUnreachable):
            run.aws.apply(WRITE)
        assert not mine.lost
    assert run.aws.made == []


def test_the_lock_of_a_run_that_may_be_alive_is_broken_only_when_somebody_says_so(account: Run) -> None:
    asked: list[str] = []

    def refuse(holder: str) -> bool:
        asked.append(holder)
        return False

    with environment_lock(account, "deploy") as mine:
        with pytest.raises(
            EnvironmentLocked, match=r"last sign of life \d+ s ago. Its lock was not broken"
        ) as no:
            unlock(account, confirm=refuse)

        found = read_lock(account)
        assert found is not None
        assert found.info == mine.info
        assert "being changed by `deploy` of" in asked[0]
        assert no.value.fix.endswith("`python -m pipeline unlock --env staging --force`.")


@pytest.mark.starts_processes
def test_the_lock_of_a_process_that_is_gone_is_broken_unasked(account: Run, said: Said) -> None:
    locked(account, pid=gone())

    assert unlock(account, confirm=lambda _: pytest.fail("it is stale")).broken is not None
    assert read_lock(account) is None
    assert "its process" in said()[-1]


@pytest.mark.starts_processes
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", EnvironmentLocked.exit_code)])
def test_the_command_asks_on_a_terminal(account: Run, answer: str, code: int) -> None:
    locked(account)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "w") as terminal:
        terminal.write(f"{answer}\n")
        terminal.flush()
        done = unlock_command(stdin=theirs)

    assert done.returncode == code, done.stderr
    assert "Break its lock? [y/N]" in done.stderr
    assert (read_lock(account) is None) == (code == 0)


@pytest.mark.starts_processes
@pytest.mark.parametrize(("words", "code"), [([], EnvironmentLocked.exit_code), (["--force"], 0)])
def test_where_nobody_can_answer_the_command_needs_force(account: Run, words: list[str], code: int) -> None:
    locked(account)
    done = unlock_command(*words, stdin=subprocess.DEVNULL)

    assert done.returncode == code, done.stderr
    assert "Break its lock?" not in done.stderr
    assert (read_lock(account) is None) == (code == 0)


def unlock_command(*words: str, stdin: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", "unlock", "--env", "staging", *words]
    return subprocess.run(command, cwd=ROOT, stdin=stdin, capture_output=True, text=True, check=False)


def test_the_lock_is_renewed_while_the_step_lasts(account: Run) -> None:
    with environment_lock(account, "verify", renewal_seconds=0.01) as mine:
        first = mine.etag
        versions = "list_object_versions"

        def was_written_again() -> bool:
            which = {"Bucket": account.env.aws.bucket, "Prefix": lock_key(account.env.name)}
            return len(account.aws.read("s3", versions, **which)["Versions"]) > 1

        wait_for(was_written_again)
        assert not mine.lost
    assert read_lock(account) is None
    assert first


def test_a_first_try_whose_answer_was_lost_was_a_success(account: Run) -> None:
    """S3 tells the second try that the lock is there: by its token it is our own."""
    me = info()
    first = acquire(account, me)

    assert acquire(account, me).etag == first.etag


class Deaf(AwsClient):
    """The client, in a network that is lost when something is to be deleted."""

    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if operation == "delete_object":
            raise AwsUnreachable("no answer", fix="wait")
        return super().read(service, operation, **params)


class Blind(AwsClient):
    """The client, in a network that is lost when a lock is to be read."""

    def find(self, service: str, operation: str, /, **params: Any) -> dict[str, Any] | None:
        if params.get("Key") == lock_key("staging"):
            raise AwsUnreachable("no answer", fix="wait")
        return super().find(service, operation, **params)


def test_a_lock_that_cannot_be_released_does_not_hide_how_the_step_ended(account: Run, said: Said) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        environment_lock(replace(account, aws=Deaf(account.env.aws)), "deploy"),
    ):
        _ = 1 / 0

    assert "could not be released" in said()[-1]


def test_there_may_be_nothing_to_unlock(account: Run, said: Said) -> None:
    assert unlock(account, confirm=lambda _: pytest.fail("nothing to ask about")).broken is None
    assert said() == ["staging is not locked"]
