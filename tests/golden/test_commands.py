"""`python -m golden record` and `check` serve a program on this machine, and say what its answers are."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import golden
from golden.__main__ import main
from tests.golden import programs

pytestmark = pytest.mark.starts_processes


def record(tmp_path: Path, program: str, *options: str) -> tuple[int, Path]:
    model = programs.write_program(tmp_path / "model", program)
    requests = programs.write_requests(tmp_path / "requests")
    out = tmp_path / "golden.jsonl"
    return main(["record", str(model), str(requests), "--out", str(out), "--askings", "2", *options]), out


def test_a_recorded_set_is_answered_right_and_a_changed_one_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = record(tmp_path, programs.STEADY, "--instances", "1")
    model = tmp_path / "model"

    assert code == 0
    assert [case.name for case in golden.read(out)] == ["cat.png", "text.json"]
    assert 'text.json: application/json, 19 bytes, {"text": "Grüße"}' in capsys.readouterr().out
    assert main(["check", str(model), "--golden", str(out)]) == 0
    out.write_text(out.read_text().replace('"bytes":6', '"bytes":7'))
    assert main(["check", str(model), "--golden", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "golden case 0 (cat.png): $.bytes is 6, not 7" in printed
    assert "1 of 2 golden cases are answered right" in printed


def test_the_set_in_an_archive_is_checked_by_default(tmp_path: Path) -> None:
    code, out = record(tmp_path, programs.STEADY, "--instances", "1")
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "model" / "code", "code")
        packed.add(out, "golden.jsonl")

    assert (code, main(["check", str(archive)])) == (0, 0)


@pytest.mark.parametrize(
    ("program", "path"),
    [(programs.RANDOM, "$.sample"), (programs.CLOCK, "$.served_at")],
    ids=["random", "clock"],
)
def test_a_field_that_moves_is_found_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], program: str, path: str
) -> None:
    code, out = record(tmp_path, program, "--instances", "1")

    assert code == 0
    assert {case.expected.comparison.shape_paths for case in golden.read(out)} == {(path,)}
    printed = capsys.readouterr().out
    assert f"compared by shape alone at {path}" in printed
    assert "2 of 2 golden cases are compared by shape alone, in part or whole" in printed
    assert main(["check", str(tmp_path / "model"), "--golden", str(out)]) == 0


def test_an_answer_that_differs_between_instances_is_found(tmp_path: Path) -> None:
    code, out = record(tmp_path, programs.BORN, "--instances", "2")

    assert code == 0
    assert {case.expected.comparison.shape_paths for case in golden.read(out)} == {("$.weight",)}


def test_refusals_are_not_recorded_unless_they_are_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = programs.STEADY.replace("if content_type", "if content_type == 'text/csv' or content_type")
    model = programs.write_program(tmp_path / "model", program)
    (tmp_path / "bad.json").write_text("{}")
    words = ["record", str(model), str(tmp_path / "bad.json"), "--out", str(tmp_path / "out.jsonl")]
    words += ["--instances", "1", "--askings", "1"]

    assert main(words) == 2
    assert "bad.json, with 500" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()
    assert main([*words, "--allow-errors"]) == 0
    assert golden.read(tmp_path / "out.jsonl").cases[0].expected.status == 500


def test_a_model_that_does_not_start_is_named_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = record(tmp_path, "raise RuntimeError('no weights here')")

    assert code == 2
    assert "no weights here" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["check"], "Name one thing to check"),
        (["check", "nowhere.tar.gz"], "is no model archive"),
        (["record", "nowhere.tar.gz", "nowhere"], "There is no nowhere"),
    ],
)
def test_bad_input_is_refused_with_the_fix(
    words: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    assert what in (printed := capsys.readouterr().err)
    assert "fix: " in printed


def test_help_names_both_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "golden", "--help"], capture_output=True, text=True, check=True
    )

    assert "record" in done.stdout
    assert "check" in done.stdout
