"""A file system of Debian 13 for tests that need newer programs than this machine has, made once by debootstrap."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

BUNDLE = Path("etc/ssl/certs/ca-certificates.crt")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sagemaker-pytorch-release"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which alone can make a chroot")
needs_debootstrap = pytest.mark.skipif(shutil.which("debootstrap") is None, reason="there is no debootstrap")


def run(*words: str, environ: Mapping[str, str] | None = None) -> str:
    """Run a program and return its output; the test fails with that when it fails."""
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def unpack(name: str, packages: str, to: Path) -> None:
    """Unpack Debian 13 with some packages and this machine's certificates; `name` is that of the kept archive."""
    archive = CACHE / f"debian-13-{name}.tar"
    if not archive.is_file():
        _make(archive, packages)
    run("tar", "-C", str(to), "-xf", str(archive))


def _make(archive: Path, packages: str) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-13-") as scratch:
        root = Path(scratch)
        run("debootstrap", "--variant=minbase", f"--include=ca-certificates,{packages}", "trixie", scratch)
        shutil.copy(Path("/") / BUNDLE, root / BUNDLE)
        shutil.rmtree(root / "var/cache/apt")
        run("tar", "-C", scratch, "-cf", f"{archive}.part", ".")
    Path(f"{archive}.part").rename(archive)
