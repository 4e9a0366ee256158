"""A Docker engine of Debian 13 beside the machine's own, with a builder that can give all files one time.

It has a file system, a process space and a socket of its own, and no bridge. An engine without a bridge deletes
docker0 when it starts, the other engine's too: it runs without CAP_NET_ADMIN, so that the kernel refuses any change of
interfaces and packet filters. Builds have a network by `--network host` alone.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local_aws.testing import wait_until
from tests.debian_13 import run, unpack

PACKAGES = "docker.io,docker-cli,docker-buildx"
PLUGINS = Path("usr/libexec/docker/cli-plugins")
SETTINGS = {
    "features": {"containerd-snapshotter": True},  # the classic store's builder has no `oci` output
    "bridge": "none", "iptables": False, "ip6tables": False, "ip-forward": False, "ip-masq": False,
    "data-root": "/own/data", "exec-root": "/own/exec", "pidfile": "/own/pid", "hosts": ["unix:///own/docker.sock"],
}  # fmt: skip
# runc needs a root that is a mount: the folder becomes one, and the root of this process.
START = """
set -e
mount --rbind . . && cd "$PWD"
mount --rbind /sys sys && mount --rbind /dev dev && mount -t proc proc proc
pivot_root . old && umount -l old
exec setpriv --bounding-set -net_admin --inh-caps -net_admin dockerd --config-file /own/daemon.json
"""


@contextmanager
def engine_of_debian_13() -> Iterator[Mapping[str, str]]:
    """Start the engine and yield the variables that lead `docker` to it; it and its images go with the block."""
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        root = Path(folder, "root")
        for each in ("own", "old"):
            (root / each).mkdir(parents=True)
        unpack("docker", PACKAGES, root)
        (root / "own/daemon.json").write_text(json.dumps(SETTINGS))
        plugins = Path(folder, "client/cli-plugins")
        plugins.parent.mkdir()
        shutil.copytree(root / PLUGINS, plugins)
        variables = {"DOCKER_HOST": f"unix://{root}/own/docker.sock", "DOCKER_CONFIG": str(plugins.parent)}
        with (root / "own/log").open("w") as log, _started(root, log.fileno()) as process:
            environ = {**os.environ, **variables}

            def answers() -> bool:
                assert process.poll() is None, (root / "own/log").read_text()[-3000:]
                return subprocess.run(["docker", "info"], env=environ, capture_output=True).returncode == 0

            wait_until(answers, "the engine of Debian 13 answers", seconds=60)
            yield variables


@contextmanager
def _started(root: Path, log: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", START]
    with subprocess.Popen(command, cwd=root, stdout=log, stderr=log, start_new_session=True) as process:
        try:
            yield process
        finally:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            for child in children.split():  # unshare itself passes no signal on
                os.kill(int(child), signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()


def copy_image(name: str, variables: Mapping[str, str]) -> None:
    """Copy an image of the machine's engine to the one that `variables` lead to."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        run("docker", "save", "--output", archive.name, name)
        run("docker", "load", "--input", archive.name, environ={**os.environ, **variables})
