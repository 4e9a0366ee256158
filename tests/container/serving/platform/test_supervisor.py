"""Children that do not stop when they are told to are ended, and the end says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.serve_process import CONTAINER

pytestmark = pytest.mark.starts_processes

# In a process of its own: a supervisor blocks signals, and adopts what its children leave behind.
STUBBORN = """
import signal
import sys
import time
from pathlib import Path

from serving.platform.console import log_to_stdout
from serving.platform.supervisor import Supervisor

deaf = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w'); signal.pause()"
log_to_stdout()
supervisor = Supervisor()
supervisor.start("deaf", [sys.executable, "-c", deaf, sys.argv[1]], drain=signal.SIGTERM)
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
print(supervisor.stop(0.2))
"""


def test_what_does_not_stop_in_time_is_ended_and_is_no_success(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STUBBORN, str(tmp_path / "is-deaf")]
    done = subprocess.run(command, cwd=CONTAINER / "src", capture_output=True, text=True, timeout=60)

    assert (
        done.stdout
        == "deaf did not finish within 0.2 s and was killed; its unfinished requests are lost\nFalse\n"
    ), done.stderr
