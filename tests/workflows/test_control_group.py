"""CI's tests run in a control group of their own user, so that instances that are processes can be limited."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.workflows.act import Act
from tests.workflows.files import ROOT, job, runs

SCRIPT = ROOT / ".ci" / "control-group"
GROUPS = Path("/sys/fs/cgroup")
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root, which alone can give a control group away"
)
# A file system as version 2 lays it, in a mount namespace of its own: plain files take what the script writes.
VERSION_2 = f"""
set -e
mount -t tmpfs none {GROUPS} && cd {GROUPS} && touch cgroup.controllers
{shlex.quote(str(SCRIPT))} --enter "$0"
find . -type f -path './ci-*' -printf '%P=' -exec cat {{}} \\; | sed 's/^ci-[0-9]*/ci/'
find . -type d -path './ci-*' -printf '%u\\n' | sort -u
"""


@pytest.fixture
def waiting() -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a process of another user."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user="nobody") as process:
        yield process
        process.kill()


def remove(groups: list[Path]) -> None:
    for group in groups:
        with suppress(FileNotFoundError):
            group.rmdir()


def groups_of(text: str) -> list[Path]:
    """Return the groups that .ci/control-group has made, from the text of /proc/PID/cgroup, the lowest first."""
    found = [line.split(":", 2)[1:] for line in text.splitlines() if "/ci-" in line]
    lowest = [GROUPS / controllers / path.lstrip("/") for controllers, path in found]
    return [each for group in lowest for each in (group, *group.parents) if "ci-" in str(each)]


def test_the_step_that_tests_enters_a_group_first() -> None:
    assert 'sudo .ci/control-group --enter $$ && make test-folder FOLDER="$FOLDER"' in runs(
        job("ci.yml", "test")
    )


@needs_root
@pytest.mark.starts_processes
def test_a_process_is_in_a_group_in_which_its_owner_can_make_others(
    waiting: "subprocess.Popen[bytes]",
) -> None:
    subprocess.run([SCRIPT, "--enter", str(waiting.pid)], check=True)
    groups = groups_of(Path(f"/proc/{waiting.pid}/cgroup").read_text())
    try:
        assert groups
        for group in groups:
            subprocess.run(["mkdir", group / "below"], user="nobody", check=True)
            (group / "below").rmdir()
    finally:
        waiting.kill()
        waiting.wait()
        remove(groups)


@needs_root
@pytest.mark.starts_processes
def test_version_2_gives_the_controllers_to_groups_beside_that_of_the_process(
    waiting: "subprocess.Popen[bytes]",
) -> None:
    """Only a group without processes of its own passes controllers on."""
    command = ["unshare", "--mount", "sh", "-c", VERSION_2, str(waiting.pid)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    assert sorted(ended.stdout.splitlines()) == [
        "ci/cgroup.subtree_control=+cpu +memory",
        f"ci/processes/cgroup.procs={waiting.pid}",
        "nobody",
    ]


PROBE = """
from pathlib import Path

def test_group() -> None:
    Path({path!r}).write_text(Path("/proc/self/cgroup").read_text())
"""


@needs_root
@pytest.mark.starts_processes
def test_the_job_of_ci_tests_within_such_a_group(act: Act) -> None:
    """Run ci.yml's job for one folder, whose only test tells in which group it runs."""
    folder, seen = act.checkout / "tests" / "smoke_tests", act.scratch / "seen"
    for path in folder.glob("test_*.py"):
        path.unlink()
    (folder / "test_group.py").write_text(PROBE.format(path=str(seen)))
    result = act.run("push", "ci.yml", options=["--job", "test", "--matrix", "folder:smoke_tests"])
    groups = groups_of(seen.read_text()) if seen.exists() else []
    remove(groups)

    assert result.exit_code == 0, result.output[-4000:]
    assert groups, seen.read_text()
