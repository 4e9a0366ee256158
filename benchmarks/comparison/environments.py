"""The peers' virtual environments, made once and kept in the user's cache directory."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"
TORCH = ROOT / "container" / "torch.txt"


class CannotInstall(Exception):
    """The packages of a peer cannot be installed; the message is pip's."""


def cache_dir() -> Path:
    """Return the folder for environments and models, outside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sagemaker-pytorch-release"


def python_for(name: str, *, install: bool = True) -> Path:
    """Return the Python with the packages of requirements/NAME.txt; install them first if `install` allows it.

    Raises CannotInstall.
    """
    directory = cache_dir() / "peers" / name
    python, ready = directory / "bin" / "python", directory / "ready"
    expected = fingerprint(name)
    if ready.is_file() and ready.read_text() == expected:
        return python
    if not install:
        raise CannotInstall(f"{name} is not installed")
    print(f"installing {name} …", flush=True)
    _run([sys.executable, "-m", "venv", str(directory)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--retries", "0", "-r", str(TORCH)])  # see the file: alone, and without retries
    _run([*pip, "-r", str(REQUIREMENTS / f"{name}.txt")])
    _run([str(python), "-c", "import torch; assert torch.version.cuda is None, 'the CUDA build of torch'"])
    ready.write_text(expected)
    return python


def fingerprint(name: str) -> str:
    """Return a hash of the requirements to install."""
    files = (TORCH, REQUIREMENTS / f"{name}.txt")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "Error" in line]
        raise CannotInstall((lines or done.stderr.splitlines() or ["pip gave no reason"])[-1][:300])
