"""`make rehearse` releases a good model: how often it is refused all the same, cold and warm, alone and beside others.

REHEARSALS=1 takes one run of each kind for a try; `make prove` takes RUNS.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rehearsal.errors import CANNOT_JUDGE

RUNS = int(os.environ.get("REHEARSALS") or 20)
ROOT = Path(__file__).parents[2]
WARM = ROOT / "build" / "rehearsal-cache"  # kept from run to run
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
BOUND_SECONDS = 800.0
BUSY_LOOPS = 2
KINDS = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("process")]
RESULTS = {0: "passed", CANNOT_JUDGE: "not judged"}  # by exit code; any other is a refusal


def rehearse(instances: str, cache: Path, build: Path) -> tuple[int, str]:
    """Rehearse; return exit code and output. One that takes too long is ended by SIGTERM, and exits with 143."""
    words = [sys.executable, "-m", "rehearsal", "--instances", instances, "--build", str(build)]
    environ = os.environ | {"XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(
        words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=BOUND_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            printed, _ = process.communicate(timeout=60)
    return process.returncode, printed


def drop_page_cache() -> bool:
    """Let the kernel forget the content of files, where that is allowed; say whether it did."""
    os.sync()
    try:
        DROP_CACHES.write_text("1\n")
    except OSError:
        return False
    return True


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep so many cores busy until the block ends."""
    loops = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.matrix(only_in_prove=True)
@pytest.mark.measures
@pytest.mark.starts_processes
@pytest.mark.timeout(1700)
@pytest.mark.parametrize("number", range(RUNS))
@pytest.mark.parametrize("busy", [0, BUSY_LOOPS], ids=["quiet", "busy"])
@pytest.mark.parametrize("cache", ["cold", "warm"])
@pytest.mark.parametrize("instances", KINDS)
def test_a_good_release_is_not_refused(
    instances: str, cache: str, busy: int, number: int, tmp_path: Path, record_property: Callable[[str, str], None]
) -> None:  # fmt: skip
    """Layers of images stay with the engine also when the caches are cold."""
    folder = tmp_path / "cache" if cache == "cold" else WARM
    folder.mkdir(parents=True, exist_ok=True)
    filled = folder / f"filled-by-{instances}"
    if cache == "warm" and not filled.exists():
        rehearse(instances, folder, tmp_path / "first")
        filled.touch()
    is_dropped = cache == "cold" and drop_page_cache()
    began = time.monotonic()
    with busy_loops(busy):
        exit_code, printed = rehearse(instances, folder, tmp_path / "rehearsal")
    result = RESULTS.get(exit_code, "refused")
    kept = "" if is_dropped or cache == "warm" else ", page cache kept"
    found = {
        "instances": "containers" if instances == "docker" else "processes",
        "cache": cache + kept,
        "machine": f"beside {busy} busy loops" if busy else "quiet",
        "result": result,
        "exit_code": exit_code,
        "seconds": round(time.monotonic() - began),
    }
    record_property("rehearsal", json.dumps(found))

    assert result != "refused", f"exit code {exit_code}\n{printed[-8000:]}"
