"""The two models of a rehearsal: a baseline that is live, and the release that follows it.

A model is a model.tar.gz, a folder with its content, or an example: a folder with `prepare.py DIR [--seed N]`, which
makes it anew from a seed. Models that were made are kept by the content of all that went into them.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import golden
from golden import GoldenError
from golden.local_server import unpack
from rehearsal.errors import RehearsalError
from rehearsal.machine import ROOT

PREPARE, REQUESTS = "prepare.py", "requests"  # in an example's folder
PACKAGES = Path("code") / "requirements.txt"
RECORD = "rehearsal.json"  # a file that makes a baseline of the same archive
SEED = "2"  # of the release; the baseline of an example is made without one
COMMITTED_WEIGHTS = "container/local_test/opt/ml/model"
DIGITS = ROOT / "container" / "local_test" / "examples" / "digits"
INGREDIENTS = (ROOT / "container" / "src", ROOT / "container" / "local_test" / "opt" / "ml" / "input")
SECONDS = 600.0
CONFIG = ROOT / "config"


@dataclass(frozen=True)
class RehearsalModel:
    """A model to publish. `recorded`: its golden set, where the archive has none."""

    folder: Path
    recorded: Path | None = None

    @property
    def golden(self) -> Path:
        """The file of its golden set."""
        own = (self.folder / name for name in (golden.FILE, golden.LEGACY_FILE))
        return self.recorded or next(path for path in own if path.is_file())

    @property
    def publish_options(self) -> tuple[str, ...]:
        """The options by which `publish` takes this model."""
        options = ["--weights", str(self.folder)]
        options += ["--golden", str(self.recorded)] if self.recorded else []
        packages = self.folder / PACKAGES
        return (*options, *(["--packages", str(packages)] if packages.is_file() else []))


def prepare_models(
    source: Path, requests: Path | None, build: Path, cache: Path, log: Path
) -> tuple[RehearsalModel, RehearsalModel]:
    """Return baseline and release of `source`, each with a golden set.

    `requests`: from which a golden set is recorded where the archive has none; by default the example's own.
    Raises RehearsalError with the message of the command that failed.
    """
    if (source / PREPARE).is_file():
        folders = [_prepared(source, seed, cache, log) for seed in (None, SEED)]
        own = source / REQUESTS
        requests = requests or (own if own.is_dir() else None)
    else:
        release = _unpacked(source, build / "models" / "release")
        folders = [_with_a_record(release, build / "models" / "baseline"), release]
    names = ("baseline", "release")
    baseline, release_model = (
        _with_golden_set(folder, requests, build / f"golden-{name}.jsonl", log)
        for folder, name in zip(folders, names, strict=True)
    )
    return baseline, release_model


def config_of(environment: str, folder: Path = CONFIG) -> dict[str, Any]:
    """Return an environment's config. Raises RehearsalError with the message of `config show`."""
    named = ["--env", environment, "--config", str(folder)]
    words = [sys.executable, "-m", "pipeline", "config", "show", *named, "--json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise RehearsalError(done.stderr.strip(), fix=f"Correct {folder / environment}.yaml.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def local_model(weights: str, where: str) -> Path:
    """Return the model that `weights` of the file `where` names. Raises RehearsalError for one that is elsewhere."""
    if weights == COMMITTED_WEIGHTS:
        return DIGITS
    if "://" in weights or not (ROOT / weights).exists():
        raise RehearsalError(
            f"`weights:` of {where} is {weights}, which is not on this machine.",
            fix="Name a model that is: make rehearse MODEL=model.tar.gz",
        )
    return ROOT / weights


def _prepared(example: Path, seed: str | None, cache: Path, log: Path) -> Path:
    """Return the folder that prepare.py made, made once per content of all that it reads."""
    home = cache / "models" / f"{example.name}-{_key(example, seed)}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        target = Path(scratch) / "model"
        words = [sys.executable, str(example / PREPARE), str(target), *(["--seed", seed] if seed else [])]
        _run(words, log, f"{example.name} was not made")
        target.rename(home)
    return home


def _key(example: Path, seed: str | None) -> str:
    digest = hashlib.sha256(f"{seed}".encode())
    files = [path for folder in (example, *INGREDIENTS) for path in _files(folder)]
    for path in [*files, ROOT / "container" / "torch.txt", ROOT / COMMITTED_WEIGHTS / "engines.json"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def _unpacked(source: Path, folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        unpack(source, folder)
    except GoldenError as error:
        raise RehearsalError(error.what, fix=error.fix) from error
    return folder


def _with_a_record(release: Path, folder: Path) -> Path:
    """Copy a model and add a file that no program reads: another archive with the same answers."""
    shutil.copytree(release, folder)
    (folder / RECORD).write_text(json.dumps({"model": "baseline of a rehearsal"}) + "\n")
    return folder


def _with_golden_set(folder: Path, requests: Path | None, out: Path, log: Path) -> RehearsalModel:
    if golden.read_folder(folder) is not None:
        return RehearsalModel(folder)
    if requests is None:
        raise RehearsalError(
            f"{folder} has no golden set, so its answers cannot be checked.",
            fix="Name requests, from which one is recorded: make rehearse MODEL=… REQUESTS=folder",
        )
    words = [sys.executable, "-m", "golden", "record", str(folder), str(requests), "--out", str(out)]
    _run(words, log, "No golden set was recorded")
    return RehearsalModel(folder, out)


def _run(words: list[str], log: Path, failure: str) -> None:
    """Run a command with its output in `log`. Raises RehearsalError with its last lines."""
    with log.open("a") as out:
        done = subprocess.run(
            words, cwd=ROOT, env=dict(os.environ), stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        tail = "\n".join(log.read_text().splitlines()[-6:])
        raise RehearsalError(f"{failure}: {tail}", fix=f"The whole log is {log}.")
