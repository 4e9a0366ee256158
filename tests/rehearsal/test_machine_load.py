"""A busy machine is told from a bad release."""

import subprocess
import sys
import time

import psutil
import pytest

from rehearsal.errors import CANNOT_JUDGE, RehearsalError
from rehearsal.machine_load import JUDGED, LOOK_SECONDS, OTHERS_PERCENT, MachineLoad, Sample, watched

BUSY_LOOP = "while True: pass"
PATIENCE_SECONDS = 60.0


def loaded(percent: float) -> MachineLoad:
    return MachineLoad([Sample(1.0, 0.0), Sample(2.0, percent), Sample(3.0, percent)])


@pytest.mark.parametrize("code", sorted(JUDGED))
def test_beside_other_programs_no_release_is_judged(code: int) -> None:
    failure = RehearsalError("verify ended with FAILED", fix="Read the log.", exit_code=code)
    found = loaded(60.0).judged(failure, "verify in staging", since=1.5)

    assert found.exit_code == CANNOT_JUDGE
    assert "This machine is too busy or too small: other programs took 60 % of its CPUs" in str(found)
    assert "verify ended with FAILED" in str(found)


@pytest.mark.parametrize(("percent", "code"), [(OTHERS_PERCENT, 21), (0.0, 21), (90.0, 2), (90.0, 17)])
def test_a_failure_that_others_did_not_cause_stays_what_it_is(percent: float, code: int) -> None:
    failure = RehearsalError("no", fix="-", exit_code=code)

    assert loaded(percent).judged(failure, "verify in staging", since=1.5) is failure


@pytest.mark.starts_processes
def test_what_others_take_is_seen_and_what_the_rehearsal_takes_is_not() -> None:
    """A busy loop of this process's own, then one whose parent has ended, so that it is nobody's child."""
    orphan = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {BUSY_LOOP!r}], stdout=subprocess.DEVNULL).pid)"
    own = subprocess.Popen([sys.executable, "-c", BUSY_LOOP])
    try:
        with watched("process") as load:
            wait_for_samples(load, 2)
            ours = load.others_percent(0.0)
            own.kill()
            began = subprocess.run(
                [sys.executable, "-c", orphan], stdout=subprocess.PIPE, text=True, check=True
            )
            stranger = psutil.Process(int(began.stdout))
            try:
                since, seen = time.monotonic() + LOOK_SECONDS, len(load.samples)
                wait_for_samples(load, seen + 3)
                theirs = load.others_percent(since)
            finally:
                stranger.kill()
    finally:
        own.kill()
        own.wait()

    assert theirs > ours + 10


def wait_for_samples(load: MachineLoad, count: int) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while len(load.samples) < count:
        assert time.monotonic() < give_up, "no sample was taken"
        time.sleep(0.05)
