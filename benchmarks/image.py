"""Time to rebuild the image after an edit of the model's code: `python -m benchmarks.image`.

It builds from a copy of `container/` and `golden/`: once to fill the layer cache with the packages, then after each of several
edits of model.py. Needs a Docker engine. The images are removed by their ids; the cached layers stay.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
TAG = "sagemaker-pytorch-release:benchmark"


def build(folder: Path) -> tuple[str, float]:
    """Build the image; return its id and the seconds that it took."""
    began = time.monotonic()
    command = [sys.executable, str(folder / "build"), "--tag", TAG]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout.split()[-1], time.monotonic() - began


def docker(*arguments: str) -> str:
    """Run a docker command; return its output."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Measure, and print the figures."""
    images, seconds = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("container", "golden"):
            shutil.copytree(ROOT / name, Path(scratch) / name, symlinks=True)
        folder = Path(scratch) / "container"
        model = folder / "src" / "digits" / "model.py"
        try:
            images.append(build(folder)[0])
            size = int(docker("image", "inspect", "--format", "{{.Size}}", images[0])) / 1e6
            for number in range(ROUNDS):
                model.write_text(f"{model.read_text()}\n# edit {number} of {time.time_ns()}\n")
                image, took = build(folder)
                images.append(image)
                seconds.append(took)
        finally:
            if images:
                docker("image", "rm", "--force", *dict.fromkeys(images))
    print(f"image: {size:.0f} MB")
    print(
        f"rebuilt after an edit of model.py in {statistics.median(seconds):.1f} s, median of {ROUNDS} "
        f"({min(seconds):.1f}-{max(seconds):.1f} s)"
    )


if __name__ == "__main__":
    main()
