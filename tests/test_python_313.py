"""Parts without torch run on Python 3.13 too: Debian 13's, in a chroot that debootstrap makes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.debian_13 import BUNDLE, needs_debootstrap, needs_root, run, unpack

ROOT = Path(__file__).parents[1]
PACKAGES = "git,python3.13,python3.13-venv"
GROUPS = ["pipeline", "smoke", "load", "local_aws", "test"]
TESTED = ["tests/pipeline", "tests/load_tests", "local_aws/tests"]


def environment() -> dict[str, str]:
    """Return what pip is told here, but for places on this machine's disk, and the chroot's own certificates."""
    told = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    index = run("python3.11", "-m", "pip", "config", "get", "global.index-url") if has_index() else ""
    told |= {"PIP_INDEX_URL": index.strip()} if index else {}
    told.pop("PIP_FIND_LINKS", None)
    certificates = dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), f"/{BUNDLE}")
    return told | certificates | {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"}


def has_index() -> bool:
    """Say whether pip is configured with an index of its own."""
    return "global.index-url=" in run("python3.11", "-m", "pip", "config", "list")


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.starts_processes
@pytest.mark.timeout(1700)
@needs_root
@needs_debootstrap
def test_parts_without_torch_pass_their_tests_that_start_no_process(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    unpack("python", PACKAGES, root)
    run("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(root / "work"))

    # A process space of its own, with its /proc, ends all that a test may leave behind.
    inside = ["unshare", "--pid", "--fork", "--mount", f"--mount-proc={root}/proc", "chroot", str(root)]
    script = (
        "cd /work && python3.13 .ci/install.py {groups} && .venv/bin/python -m pytest -q {options} {tested}"
    )
    ended = run(
        *inside, "sh", "-c",
        script.format(
            groups=" ".join(GROUPS), tested=" ".join(TESTED),
            options='-p no:cacheprovider -m "not starts_processes and not docker"',
        ),
        environ=environment(),
    )  # fmt: skip

    record_property("python_3_13", ended.splitlines()[-1])
    assert " passed" in ended
