"""The engine beside the machine's own leaves the interface of the other one."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container.engine_of_debian_13 import engine_of_debian_13
from tests.debian_13 import needs_debootstrap, needs_root

pytestmark = [pytest.mark.matrix(only_in_prove=True), pytest.mark.starts_processes]


def main() -> None:
    """Within a network of its own, with a docker0 as another engine makes it: print which interfaces are left."""
    subprocess.run(["ip", "link", "add", "docker0", "type", "bridge"], check=True)
    with engine_of_debian_13():
        print(*(name for _, name in socket.if_nameindex()))


@needs_root
@needs_debootstrap
@pytest.mark.docker
@pytest.mark.skipif(shutil.which("ip") is None, reason="there is no ip (iproute2)")
def test_docker0_stays_when_the_engine_starts() -> None:
    root = Path(__file__).parents[2]
    command = ["unshare", "--net", sys.executable, "-m", "tests.container.test_engine_of_debian_13"]
    ended = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True, timeout=280)

    assert ended.stdout.split() == ["lo", "docker0"], ended.stderr[-3000:]


if __name__ == "__main__":
    main()
