"""A step on GitHub (the page of the run, annotations), and its result as JSON for programs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.cli.github import annotation, write_failure, write_success
from pipeline.cli.markdown import failed, succeeded
from pipeline.config import Environment
from pipeline.errors import ConfigError, DeploymentRolledBack
from pipeline.run import Run
from pipeline.state.records import StepRecord

ROOT = Path(__file__).parents[2]


def record(result: dict[str, Any], calls: tuple[str, ...] = (), step: str = "deploy") -> StepRecord:
    return StepRecord(
        step=step, environment="staging", started=0.0, finished=2.0, seconds=2.0, calls=calls, result=result
    )


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(ROOT)


def test_a_result_is_a_table_and_every_list_of_things_another() -> None:
    text = succeeded(
        record(
            {
                "release": "a-b",
                "image": {"tag": "t"},
                "stand_in": True,
                "target": None,
                "changes": [{"setting": "image", "live": "x", "coming": "y"}],
            },
            calls=("create endpoint e",),
        )
    )

    assert text.startswith("### ✅ deploy staging (2.0 s)")
    for row in ("| release | a-b |", "| image.tag | t |", "| stand_in | yes |", "| target | – |"):
        assert row in text
    assert "| setting | live | coming |\n| --- | --- | --- |\n| image | x | y |" in text
    assert "<summary>1 calls</summary>\n\n- create endpoint e" in text


def test_what_others_wrote_is_no_markup() -> None:
    text = succeeded(record({"said": "a | b <script>\nc"}))

    assert "| said | a \\| b &lt;script> c |" in text


def test_a_failure_says_its_code_and_its_fix() -> None:
    error = DeploymentRolledBack("e", wanted="new", live="old", because="alarm")
    text = failed("deploy", "staging", error)

    assert "DeploymentRolledBack, exit code 5" in text
    assert "> Endpoint e is InService on old, not on new. alarm" in text
    assert "**Fix:** Traffic is back on the old release." in text


def test_an_annotation_is_one_line_that_github_unpacks() -> None:
    line = annotation(ConfigError("100 % wrong:\n  endpoint", fix="mend it"))

    assert line == "::error title=ConfigError (exit code 2)::100 %25 wrong:%0A  endpoint%0A  fix: mend it"


def test_nothing_is_written_where_github_is_not(tmp_path: Path) -> None:
    write_success(record({}), tmp_path, {})

    assert list(tmp_path.iterdir()) == []


def test_steps_are_added_to_the_page_one_after_another(tmp_path: Path) -> None:
    page = {"GITHUB_STEP_SUMMARY": str(tmp_path / "page.md")}
    write_success(record({}, step="publish"), tmp_path, page)
    write_failure("deploy", ConfigError("wrong", fix="mend it"), tmp_path / "staging", 0.0, page)
    heads = re.findall(r"^### (.+)$", (tmp_path / "page.md").read_text(), re.MULTILINE)

    assert heads == ["✅ publish staging (2.0 s)", "❌ deploy staging: ConfigError, exit code 2"]


EVIDENCE: dict[str, Any] = {
    "release": "a-b",
    "environment": "staging",
    "verdict": "failed",
    "gates": [],
    "capacity": None,
    "scaling": None,
}
LOAD = {
    "endpoint": "e",
    "started": 0.0,
    "seconds": [{"at": float(at), "requests": at, "failures": 0, "p50_ms": 1, "p95_ms": 2, "p99_ms": 3} for at in range(3)],
    "fleet": [{"at": float(at), "status": "InService", "config": "c", "current": 2, "desired": 2} for at in range(3)],
    "phases": [],
    "identities": {},
}  # fmt: skip


@pytest.mark.starts_processes
def test_a_verification_is_shown_with_its_plots(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "evidence.json").write_text(json.dumps(EVIDENCE))
    (folder / "scaling.json").write_text(json.dumps(LOAD))
    page = {"GITHUB_STEP_SUMMARY": str(tmp_path / "page.md")}
    write_failure("verify", ConfigError("a gate", fix="see"), folder, 0.0, page)
    text = (tmp_path / "page.md").read_text()

    assert caplog.messages == []
    assert "xychart-beta" in text
    assert "a-b in staging: failed" in text


def test_evidence_of_an_earlier_run_is_not_shown(tmp_path: Path) -> None:
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "evidence.json").write_text(json.dumps(EVIDENCE))
    later = (folder / "evidence.json").stat().st_mtime + 1
    page = {"GITHUB_STEP_SUMMARY": str(tmp_path / "page.md")}
    write_failure("verify", ConfigError("none", fix="see"), folder, later, page)

    assert "a-b" not in (tmp_path / "page.md").read_text()


def test_a_step_that_github_runs_is_on_its_page_and_its_error_beside_it(
    account: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    code = main(["deploy", "--env", "staging", "--build", str(tmp_path / "none")])
    shown = capsys.readouterr()

    assert code == 3
    assert shown.out.splitlines()[-1].startswith("::error title=ReleaseError (exit code 3)::There is no")
    assert "### ❌ deploy staging: ReleaseError" in (tmp_path / "page.md").read_text()


@pytest.mark.starts_processes
def test_json_is_all_that_is_on_standard_output(
    account: Run, env: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--env", "staging", "--build", str(tmp_path), "--json"]
    assert main(["publish", "--no-engine", *where]) == 0
    shown = capsys.readouterr()

    assert json.loads(shown.out) == json.loads((tmp_path / "release.json").read_text())
    assert "register" in shown.err


@pytest.mark.parametrize("command", ["plan", "deploy", "preflight"])
def test_a_failure_is_json_too(
    account: Run, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([command, "--env", "staging", "--build", str(tmp_path), "--json"])
    shown = capsys.readouterr()
    told = json.loads(shown.out)

    assert (told["error"], told["exit_code"], code) == ("ReleaseError", 3, 3)
    assert told["fix"] in shown.err


def test_there_is_no_colour_where_there_is_no_terminal(
    account: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--env", "staging", "--build", str(tmp_path)]) == 0
    shown = capsys.readouterr()

    assert "digits-staging" in shown.out
    assert "\x1b" not in shown.out + shown.err
