"""Parts without torch run on Python 3.13 too: Debian 13's, in a chroot that debootstrap makes."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = "ca-certificates,git,python3.13,python3.13-venv"
GROUPS = ["pipeline", "smoke", "load", "local_aws", "test"]
TESTED = ["tests/pipeline", "tests/load_tests", "local_aws/tests"]
BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sagemaker-pytorch-release"


def debian_13() -> Path:
    """Return an archive of Debian 13 with Python 3.13 and this machine's certificates, made once."""
    archive = CACHE / "debian-13.tar"
    if archive.is_file():
        return archive
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-13-") as scratch:
        root = Path(scratch)
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(root))
        shutil.copy(Path("/") / BUNDLE, root / BUNDLE)
        shutil.rmtree(root / "var/cache/apt")
        run("tar", "-C", str(root), "-cf", f"{archive}.part", ".")
    return Path(f"{archive}.part").rename(archive)


def run(*words: str, environ: Mapping[str, str] | None = None) -> str:
    """Run a program and return its output; the test fails with that when it fails."""
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    return done.stdout


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
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a chroot")
@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="there is no debootstrap")
def test_parts_without_torch_pass_their_tests_that_start_no_process(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    run("tar", "-C", str(root), "-xf", str(debian_13()))
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
