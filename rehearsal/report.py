"""The HTML report of the whole journey, made by `python -m load_tests.report`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from rehearsal import commands
from rehearsal.machine import ROOT


def write_report(build: Path, title: str, environ: Mapping[str, str]) -> Path:
    """Write BUILD/report.html from the files that the steps wrote; return its path."""
    page = build / "report.html"
    words = ["load_tests.report", "--title", title, "--out", str(page)]
    for path in _load_results(build):
        words += ["--load", f"{path.stem.removeprefix('traffic-')}={path}"]
    for path in sorted(build.glob("*/evidence.json")):
        words += ["--evidence", str(path)]
    if (build / "release.json").is_file():
        words += ["--release", str(build / "release.json")]
    for environment in ("staging", "production"):
        for path in _having({"step", "environment"}, (build / environment).glob("*.json")):
            words += ["--steps", str(path)]
    commands.run(words, environ, build / "logs" / "report.log", lambda _: None)
    return page.relative_to(ROOT) if page.is_relative_to(ROOT) else page


def _load_results(build: Path) -> list[Path]:
    """Return the load test results below BUILD, without the other JSON files beside them."""
    wanted = {"phases", "endpoint"}
    return [*_having(wanted, build.glob("traffic-*.json")), *_having(wanted, build.glob("*/load/*.json"))]


def _having(keys: set[str], files: Iterable[Path]) -> list[Path]:
    """Return the files, by name, whose document has these keys: others are beside them."""
    return [path for path in sorted(files) if keys <= json.loads(path.read_text()).keys()]
