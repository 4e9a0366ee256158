"""The HTML report of the whole journey, made by `python -m load_tests.report`."""

import json
from collections.abc import Mapping
from pathlib import Path

from rehearsal import commands
from rehearsal.machine import ROOT

NOT_STEPS = ("evidence.json", "capacity.json")  # files in a folder BUILD/ENVIRONMENT that no step's record is


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
        steps = (path for path in sorted((build / environment).glob("*.json")) if path.name not in NOT_STEPS)
        for path in steps:
            words += ["--steps", str(path)]
    commands.run(words, environ, build / "logs" / "report.log", lambda _: None)
    return page.relative_to(ROOT) if page.is_relative_to(ROOT) else page


def _load_results(build: Path) -> list[Path]:
    """Return the load test results below BUILD, without the other JSON files beside them."""
    candidates = sorted(build.glob("traffic-*.json")) + sorted(build.glob("*/load/*.json"))
    return [path for path in candidates if {"phases", "endpoint"} <= json.loads(path.read_text()).keys()]
