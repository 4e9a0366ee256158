"""Check or install code/requirements.txt at start.

By default the image must already have every package, so that all instances of a release run the same
versions. SERVE_INSTALL_REQUIREMENTS=1 installs them instead.
"""

import codecs
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from serving.handlers.errors import CannotLoad

INSTALL_VARIABLE = "SERVE_INSTALL_REQUIREMENTS"
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_SECONDS = 480  # SageMaker gives up on a container soon afterwards
_PINNED = ("torch", "numpy", "flask", "werkzeug", "gunicorn")  # the server's own packages keep their versions


def ensure_installed(requirements: Path, environ: Mapping[str, str]) -> None:
    """Check that all of `requirements` is installed, or install it. Raises CannotLoad with pip's reason."""
    if not requirements.is_file() or not _lists_something(requirements):
        return
    allowed = environ.get(INSTALL_VARIABLE, "").lower() in ("1", "true")
    with tempfile.TemporaryDirectory(prefix="constraints-") as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{name}=={importlib.metadata.version(name)}\n" for name in _PINNED))
        settings = dict(environ) if allowed else _without_index(environ)
        problem = _pip(_command(requirements, constraints), settings)
    if problem is None:
        importlib.invalidate_caches()
        return
    if allowed:
        raise CannotLoad(
            f"{requirements}: cannot be installed ({problem}); is there a network, and a place to write?"
        )
    raise CannotLoad(
        f"{requirements}: not all of it is in the image ({problem}); add it to the image, "
        f"or set {INSTALL_VARIABLE}=1 to install it at every start, which needs a network"
    )


def _command(requirements: Path, constraints: Path) -> list[str]:
    pip = (
        [sys.executable, "-m", "pip"]
        if importlib.util.find_spec("pip")
        else ["pip", "--python", sys.executable]
    )
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1"]
    return [*pip, "install", *options, "-c", str(constraints), "-r", str(requirements)]


def _without_index(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's environment without an index or wheels, so that it succeeds only if nothing is missing."""
    others = {name: value for name, value in environ.items() if not name.startswith("PIP_")}
    return {**others, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


def _pip(command: list[str], settings: Mapping[str, str]) -> str | None:
    """Run pip; return its error in one line, or None."""
    try:
        done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=_SECONDS)
    except FileNotFoundError:
        return "there is no pip"
    except subprocess.TimeoutExpired:
        return f"pip did not finish within {_SECONDS} s"
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    return (errors or done.stderr.splitlines() or [f"pip ended with {done.returncode}"])[-1][:300]


def _lists_something(requirements: Path) -> bool:
    """Return whether a line is no comment, in the encodings that pip reads: UTF-8, or by a byte order mark."""
    content = requirements.read_bytes()
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    lines = (line.strip() for line in content.decode(encoding, errors="replace").splitlines())
    return any(line and not line.startswith("#") for line in lines)
