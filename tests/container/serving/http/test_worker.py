"""A worker stops when it is told to, even if it is told before it is ready to listen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.serve_process import COMMITTED, CONTAINER, until

pytestmark = pytest.mark.starts_processes

SOURCE = CONTAINER / "src"
CONFIGURATION = """
import time
from pathlib import Path

exec(compile(Path({real!r}).read_text(), {real!r}, "exec"))


def when_ready(server):
    pass  # there is no `serve` to be told


def post_fork(server, worker):
    Path({born!r}).touch()
    while not Path({grown!r}).exists():
        time.sleep(0.01)
"""


def test_a_worker_told_to_stop_while_it_is_being_born_stops(tmp_path: Path) -> None:
    born, grown, socket = tmp_path / "born", tmp_path / "grown", tmp_path / "socket"
    configuration = tmp_path / "configuration.py"
    configuration.write_text(
        CONFIGURATION.format(
            real=str(SOURCE / "serving" / "http" / "gunicorn_conf.py"), born=str(born), grown=str(grown)
        )
    )
    environment = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(COMMITTED),
        "SERVE_BIND": f"unix:{socket}",
        "SERVE_WORKERS": "1",
        "SERVE_REQUEST_THREADS": "1",
        "SERVE_SCRATCH": str(tmp_path),
    }
    master = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--pythonpath", SOURCE, "-c", configuration, "wsgi:app"],
        env=environment,
    )
    try:
        assert until(born.exists, 30)
        master.terminate()
        assert until(lambda: not socket.exists())  # just before the master tells its workers

        grown.touch()

        assert master.wait(10) == 0  # not after its graceful timeout of 20 s
    finally:
        grown.touch()
        master.kill()
        master.wait()
