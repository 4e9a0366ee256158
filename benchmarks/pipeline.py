"""Figures of the pipeline itself: `python -m benchmarks.pipeline` prints them as tables, for docs/performance.md.

Each step runs as a command of its own against the local AWS. A step's own time is the time of its whole process,
start of Python included, without its sleeps and without the time that AWS took to update the endpoint. Every write to
AWS counts, those of the lock and the audit line too. Uploads take turns with `aws s3 cp` and `aws s3 sync`.
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import yaml

import local_aws
from benchmarks.counted_step import RESULT

ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "tests" / "pipeline" / "contract_server.py"
GIB = 1024**3
COUNTED = "counted.json"
AWS_CLI = str(Path(sys.executable).with_name("aws"))


@contextmanager
def bootstrapped_aws(**settings: object) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield a folder with config and weights, and the environment variables of a bootstrapped local AWS."""
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as scratch:
        folder = Path(scratch)
        server = f"{sys.executable} {SERVER}"
        state = {"state_dir": str(folder / "state"), "cache_dir": str(folder / "cache")}
        with local_aws.start(instances="process", process_command=server, **state, **settings) as aws:
            environ = os.environ | aws.environ
            _write_config(folder)
            _step(folder, environ, "bootstrap")
            yield folder, environ


def _write_config(folder: Path) -> None:
    for name in ("a", "b"):
        weights = folder / name
        weights.mkdir()
        (weights / "golden.json").write_text('{"cases": [{"instance": [0]}]}')
        (weights / "metrics.json").write_text('{"accuracy": 1}')
        (weights / "behaviour").write_text("status 200")
        (weights / "seed").write_text(name)
    content = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())
    content["autoscaling"]["target"] = 600  # a number: nothing is measured here
    (folder / "config").mkdir()
    (folder / "config" / "staging.yaml").write_text(yaml.safe_dump(content))


def _step(folder: Path, environ: Mapping[str, str], step: str, *words: str) -> tuple[float, Counter[str]]:
    """Run one step as a process; return its own time in seconds, and its writes by operation."""
    result = folder / COUNTED
    where = ["--env", "staging", "--build", str(folder / "build"), "--config", str(folder / "config")]
    command = [sys.executable, "-m", "benchmarks.counted_step", step, *where, *words]
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env={**environ, RESULT: str(result)}, capture_output=True, text=True, timeout=600
    )
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(
            f"{step} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
    counted = json.loads(result.read_text())
    return seconds - counted["waited"], Counter(counted["writes"])


def steps(rounds: int) -> dict[str, tuple[float, Counter[str]]]:
    """Return own time (median of rounds) and writes of every step; each round has an AWS of its own."""
    found: dict[str, list[tuple[float, Counter[str]]]] = {}
    for _ in range(rounds):
        with bootstrapped_aws(time_scale=120) as (folder, environ):

            def measure(name: str, step: str, *words: str) -> None:
                found.setdefault(name, []).append(_step(folder, environ, step, *words))

            first, second = (["--no-engine", "--weights", str(folder / each)] for each in "ab")
            measure("publish, first", "publish", *first)
            measure("publish, unchanged", "publish", *first)
            measure("deploy, first", "deploy")
            measure("deploy, unchanged", "deploy")
            measure("autoscale", "autoscale")
            measure("autoscale, unchanged", "autoscale")
            measure("publish, other weights", "publish", *second)
            measure("plan", "plan")
            measure("deploy, update", "deploy")
            measure("rollback", "rollback")
    return {name: (statistics.median(each[0] for each in runs), runs[-1][1]) for name, runs in found.items()}


def start_up() -> float:
    """Return the seconds of `python -m pipeline --help`: the median of five."""
    return statistics.median(_seconds([sys.executable, "-m", "pipeline", "--help"]) for _ in range(5))


def uploads(size: int, rounds: int) -> dict[str, str]:
    """Publish weights of `size` bytes in turns with `aws s3 cp`; then publish them unchanged, with new timestamps."""
    ours: list[float] = []
    theirs: list[float] = []
    with bootstrapped_aws() as (folder, environ):
        packed = folder / "checkout" / "model.tar.gz"
        bucket = "s3://digits-releases-123456789012"
        publish = ["--no-engine", "--no-sbom", "--weights", str(packed)]
        for number in range(1, rounds + 1):
            _pack(packed, size)
            copied = f"{bucket}/cp/{number}"
            theirs.append(_seconds([AWS_CLI, "s3", "cp", str(packed), copied, "--no-progress"], environ))
            ours.append(_step(folder, environ, "publish", *publish)[0])
            progress = f"round {number}: aws s3 cp {theirs[-1]:.1f} s, publish {ours[-1]:.1f} s"
            print(progress, file=sys.stderr)
        sync = [AWS_CLI, "s3", "sync", str(packed.parent), f"{bucket}/synced/", "--no-progress"]
        _run(sync, environ)
        packed.touch()
        synced = _seconds(sync, environ)
        packed.touch()
        again = _step(folder, environ, "publish", *publish)[0]
        weights = json.loads((folder / COUNTED).read_text())["weights"]
    rate = min(theirs) / min(ours)
    return {
        f"`aws s3 cp`, {size / GIB:g} GiB, best of {rounds}": _rate(size, min(theirs)),
        "publish of the same file: digests, upload, verification, manifest, registry": _rate(size, min(ours)),
        "publish / `aws s3 cp`": f"{100 * rate:.0f} %",
        "`aws s3 sync` after new timestamps": f"{synced:.2f} s",
        "publish after new timestamps, the check of the weights": f"{weights:.2f} s",
        "times faster than `aws s3 sync`": f"{synced / weights:.0f}",
        "the whole publish, start of Python, image and manifest included": f"{again:.2f} s",
    }


def _pack(path: Path, size: int) -> None:
    """Write a .tar.gz with a golden set and `size` incompressible bytes."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=0) as tar:
        for name, content in (("golden.json", b'{"cases": [{"instance": [0]}]}'), ("metrics.json", b"{}")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
        member = tarfile.TarInfo("model.safetensors")
        member.size = size
        tar.addfile(member, _Noise(size))  # type: ignore[arg-type]  # tarfile only reads


class _Noise:
    """A file of random bytes that is never completely in memory."""

    def __init__(self, size: int) -> None:
        self._left, self._block = size, secrets.token_bytes(1024**2)

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        self._left -= size
        return (os.urandom(16) + self._block)[:size] if size > 16 else self._block[:size]


def _run(words: list[str], environ: Mapping[str, str] | None = None) -> None:
    subprocess.run(words, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL, timeout=600)


def _seconds(words: list[str], environ: Mapping[str, str] | None = None) -> float:
    began = time.monotonic()
    _run(words, environ)
    return time.monotonic() - began


def _rate(size: int, seconds: float) -> str:
    return f"{seconds:.1f} s, {size / 1e6 / seconds:.0f} MB/s"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of every step; the table has the median (3)")
    parser.add_argument("--gib", type=float, default=2.0, help="size of the weights (2)")
    parser.add_argument("--only", choices=["steps", "uploads"], help="one of the two tables")
    args = parser.parse_args()
    print(f"Load average of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs.\n")
    if args.only != "uploads":
        print(f"`python -m pipeline --help`: {start_up():.2f} s\n")
        print("| step | own time | writes |\n|---|---|---|")
        for name, (seconds, writes) in steps(args.rounds).items():
            operations = ", ".join(f"{count} {what}" for what, count in sorted(writes.items())) or "none"
            print(f"| {name} | {seconds:.2f} s | {writes.total()}: {operations} |")
        print()
    if args.only != "steps":
        print("| | |\n|---|---|")
        for name, figure in uploads(int(args.gib * GIB), 2).items():
            print(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
