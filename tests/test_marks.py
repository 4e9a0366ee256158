"""The marks `starts_processes` and `measures` do what they say."""

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.measuring import turn

MARKS = """
import subprocess
import sys
import time
from pathlib import Path

import pytest

def start():
    subprocess.run([sys.executable, "-c", ""], check=True)

@pytest.fixture(scope="module")
def server():
    start()

def test_quiet():
    pass

def test_first_user(server):
    pass

def test_second_user(server):
    pass

def test_direct():
    start()

@pytest.mark.starts_processes
def test_marked(server):
    start()
"""
ORDER = """
import time
from pathlib import Path

import pytest

@pytest.mark.measures
@pytest.mark.parametrize("number", range(2))
def test_measures(number):
    note("begin alone")
    note("end alone")

@pytest.mark.parametrize("number", range(6))
def test_other(number):
    note("begin other")
    note("end other")

def note(what):
    with Path("notes").open("a") as notes:
        notes.write(what + "\\n")
"""


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a module of tests with the two plugins, as a session of its own."""
    (folder / "test_cases.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = measures\n  starts_processes\n")
    plugins = ["-p", "tests.processes", "-p", "tests.measuring", "-p", "no:cacheprovider"]
    words = [
        sys.executable,
        "-m",
        "pytest",
        *plugins,
        "--rootdir",
        str(folder),
        "-c",
        str(folder / "pytest.ini"),
    ]
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [*words, *options, "."],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.starts_processes
def test_a_test_that_starts_a_process_unmarked_fails_itself_or_by_its_fixture(tmp_path: Path) -> None:
    done = run(tmp_path, MARKS, "-rA")

    for name, verdict in {
        "quiet": "PASSED", "first_user": "FAILED", "second_user": "FAILED", "direct": "FAILED", "marked": "PASSED"
    }.items():  # fmt: skip
        assert f"{verdict} test_cases.py::test_{name}" in done.stdout, done.stdout


@pytest.mark.starts_processes
def test_a_test_that_measures_never_runs_beside_another_one(tmp_path: Path) -> None:
    done = run(tmp_path, ORDER, "-n", "2")
    notes = (tmp_path / "notes").read_text().splitlines()

    assert "8 passed" in done.stdout, done.stdout
    for number, note in enumerate(notes):
        if note == "begin alone":
            assert notes[number + 1] == "end alone"


def test_whoever_waits_for_the_machine_alone_is_not_overtaken(tmp_path: Path) -> None:
    order = list[str]()

    def take(name: str, *, alone: bool) -> None:
        with turn(tmp_path, alone=alone):
            order.append(name)

    threads = [
        threading.Thread(target=take, args=("alone",), kwargs={"alone": True}),
        threading.Thread(target=take, args=("beside",), kwargs={"alone": False}),
    ]
    with turn(tmp_path, alone=False):
        threads[0].start()
        while not is_locked(tmp_path / "entry.lock"):
            pass
        threads[1].start()
        assert order == []
    for thread in threads:
        thread.join(60)

    assert order == ["alone", "beside"]


def is_locked(path: Path) -> bool:
    """Say whether another file handle holds the lock of a file."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_without_workers_nobody_waits() -> None:
    with turn(None, alone=True), turn(None, alone=True):
        pass
