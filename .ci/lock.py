"""Compile the locks of all dependency groups anew, with hashes: one set of versions for all of them (`make lock`).

python .ci/lock.py [--upgrade]: without --upgrade, versions that still fit stay. The default index alone is asked
(pip's index-url, where that is set), and torch's pins hold (container/torch.txt).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from install import ROOT, TORCH, groups, lock_of, pip_options, uv_environment

PYTHON = "3.11"  # the image's; the groups without torch are tested on 3.13 from the same locks
HEADER = "# {what}: written by `make lock`.\n"
OPTIONS = [
    "--quiet", "--no-header", "--no-annotate", "--strip-extras", "--python-version", PYTHON,
    "--python-platform", "x86_64-unknown-linux-gnu",
]  # fmt: skip
PIN = re.compile(r"^([a-zA-Z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    """Read the versions of a requirements file, without hashes and options."""
    return dict(PIN.findall(text))


def pinned(paths: Iterable[Path]) -> str:
    """Merge the pins of the files that are there into one list without hashes; the first file's pins win."""
    merged: dict[str, str] = {}
    for path in paths:
        merged = (pins(path.read_text()) if path.is_file() else {}) | merged
    return "".join(f"{name}=={version}\n" for name, version in sorted(merged.items()))


def sources(group: str) -> list[str]:
    """Name what a group's lock is compiled from; local AWS is a package with dependencies of its own."""
    own = ["local_aws/pyproject.toml"] if group == "local_aws" else []
    return [*own, f"--group=pyproject.toml:{group}"]


def environment() -> dict[str, str]:
    """Tell uv of pip's index, certificates and proxy, but of no second index, links or constraints of this machine."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    )
    options = pip_options(listed.stdout)
    for option in ("extra-index-url", "find-links", "constraint"):
        options.pop(option, None)
    return uv_environment(options, os.environ)


def compile_to(path: Path, words: Sequence[str]) -> str:
    """Run `uv pip compile`, to a file that keeps its versions where they still fit."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", *OPTIONS, *words, "-o", str(path)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return path.read_text()


def main() -> None:
    """Resolve all groups together, then write each lock from that resolution."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    locks = {lock_of(group): sources(group) for group in groups()}
    with tempfile.TemporaryDirectory() as scratch:
        torch, everything = Path(scratch, "torch.txt"), Path(scratch, "everything.txt")
        torch.write_text("".join(line for line in pinned([TORCH]).splitlines(True) if "+" not in line))
        everything.write_text(pinned(locks))
        asked = [word for words in locks.values() for word in words]
        versions = compile_to(everything, [*upgrade, "-c", str(torch), *dict.fromkeys(asked)])
        print(f"{len(pins(versions))} packages")
        for path, words in locks.items():
            target = Path(scratch, f"{path.parent.name}-{path.name}")
            text = compile_to(target, ["--generate-hashes", "-c", str(everything), *words])
            path.write_text(HEADER.format(what=" ".join(words)) + text)


if __name__ == "__main__":
    main()
