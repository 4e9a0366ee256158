"""The report is made from what each file holds: evidence and load results lie beside the steps' records."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rehearsal import commands, report


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def test_files_are_chosen_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "staging" / "deploy.json", {"step": "deploy", "environment": "staging"})
    write(tmp_path / "staging" / "evidence.json", {"verdict": "passed"})
    write(tmp_path / "production" / "evidence-staging.json", {"verdict": "passed"})
    write(tmp_path / "staging" / "load" / "capacity-1.json", {"phases": [], "endpoint": "digits"})
    write(tmp_path / "traffic-schedule.json", {"phases": []})
    ran: list[list[str]] = []
    monkeypatch.setattr(commands, "run", lambda words, *_: ran.append(words))

    report.write_report(tmp_path, "Rehearsal", {})

    (words,) = ran
    named = {flag: [b for a, b in pairwise(words) if a == flag] for flag in ("--steps", "--load")}
    assert named == {
        "--steps": [str(tmp_path / "staging" / "deploy.json")],
        "--load": [f"capacity-1={tmp_path / 'staging' / 'load' / 'capacity-1.json'}"],
    }
    assert words[words.index("--evidence") + 1] == str(tmp_path / "staging" / "evidence.json")
