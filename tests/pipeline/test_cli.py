"""The command line: every command explains itself, every failure has an exit code of its own."""

import argparse
import re
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.command.cli import main
from pipeline.command.options import MOVES_TRAFFIC, OFFLINE, STEPS, parser
from pipeline.command.steps import COMMANDS, Order
from pipeline.errors import PipelineError

ROOT = Path(__file__).parents[2]
ERRORS = [
    each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, PipelineError)
]


def options(command: str) -> list[argparse.Action]:
    commands = next(action for action in parser()._actions if isinstance(action.choices, dict))
    return list(commands.choices[command]._actions)  # type: ignore[index]


def test_every_error_has_an_exit_code_of_its_own() -> None:
    """The code alone tells a workflow what went wrong."""
    codes = [error.exit_code for error in ERRORS]

    assert len(set(codes)) == len(codes)
    assert not {0, 126, 127} & set(codes)


def test_the_tree_of_errors_tells_every_code() -> None:
    told = dict(re.findall(r"(\w+) +(\d+)   ", errors.__doc__ or ""))

    assert told == {error.__name__: str(error.exit_code) for error in ERRORS}


def test_the_page_of_exit_codes_has_every_error() -> None:
    rows = re.findall(
        r"^\| (\d+) \| `(\w+)` \| (.+) \|$", (ROOT / "docs/exit-codes.md").read_text(), re.MULTILINE
    )
    told = {
        (str(error.exit_code), error.__name__, (error.__doc__ or "").splitlines()[0])
        for error in ERRORS
        if error is not PipelineError
    }

    assert set(rows) == told
    assert [int(code) for code, *_ in rows] == sorted(int(code) for code, *_ in rows)


def test_every_error_is_met_in_a_test() -> None:
    """By its class, or by its exit code."""
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    named = set(re.findall(r"raises\(\s*\(?(\w+)|\b(?:errors\.)?(\w+)\.exit_code", tests))
    met = {name for pair in named for name in pair}

    assert {error.__name__ for error in ERRORS if error is not PipelineError} <= met


def test_every_command_that_is_listed_can_run() -> None:
    assert set(STEPS) == set(COMMANDS)


@pytest.mark.parametrize("command", [*STEPS, *OFFLINE])
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    shown = capsys.readouterr().out

    example = shown.rpartition("example: python -m pipeline ")[2].split()

    assert ended.value.code == 0
    assert parser().parse_args(example).command == command
    assert all(option.help for option in options(command))


@pytest.mark.parametrize("command", [*STEPS, *OFFLINE])
def test_every_command_speaks_json(command: str) -> None:
    assert "--json" in {word for option in options(command) for word in option.option_strings}


@pytest.mark.parametrize("command", STEPS)
def test_no_option_is_lost_on_its_way_to_the_step(command: str) -> None:
    known = {field.name for field in fields(Order)} | {
        "help",
        "strategy",
    }  # that one makes another environment

    assert {option.dest for option in options(command)} <= known


@pytest.mark.starts_processes
def test_help_answers_at_once() -> None:
    """Nothing heavy is imported before a command runs."""
    script = "import sys, pipeline.command.cli; pipeline.command.cli.parser(); print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert not {"boto3", "botocore", "pydantic", "rich", "yaml"} & set(shown.stdout.split())


def test_an_error_is_told_with_its_fix_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["deploy", "--env", "nowhere", "--config", str(ROOT / "config")])

    assert code == errors.ConfigError.exit_code
    assert capsys.readouterr().err.startswith(
        "ConfigError: There is no environment 'nowhere'.\n  fix: Use one"
    )


@pytest.mark.parametrize("command", sorted(MOVES_TRAFFIC))
def test_a_strategy_that_the_environment_has_no_size_for_is_refused_before_aws_is_asked(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([command, "--env", "staging", "--config", str(ROOT / "config"), "--strategy", "linear"])

    assert code == errors.ConfigError.exit_code
    told = capsys.readouterr().err
    assert "staging cannot be deployed to by --strategy linear:" in told
    assert "strategy linear needs linear_percent" in told


def test_credentials_of_another_account_change_nothing(
    moto: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (ROOT / "config").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text().replace('"123456789012"', '"210987654321"'))
    code = main(["bootstrap", "--env", "staging", "--config", str(tmp_path), "--build", str(tmp_path)])

    assert code == errors.WrongAccount.exit_code
    assert "belong to account 123456789012" in capsys.readouterr().err


def test_without_an_answer_from_aws_the_network_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = socket.socket()  # bound, but nobody listens
    silent.bind(("127.0.0.1", 0))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with silent:
        code = main(
            ["status", "--env", "staging", "--build", str(tmp_path), "--config", str(ROOT / "config")]
        )

    assert code == errors.AwsUnreachable.exit_code
    assert "AWS_ENDPOINT_URL" in capsys.readouterr().err


@pytest.mark.starts_processes
def test_a_step_that_is_told_to_end_unwinds_what_it_has_started() -> None:
    """SIGTERM ends a step as Ctrl-C does: its load test and its measuring endpoint go with it."""
    code = """
import runpy, signal
import pipeline.command.cli
def main():
    try:
        print("running", flush=True)
        signal.pause()
    finally:
        print("unwound", flush=True)
pipeline.command.cli.main = main
runpy.run_module("pipeline", run_name="__main__")
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as step:
        assert step.stdout is not None
        assert step.stdout.readline() == "running\n"
        step.terminate()
        rest = step.stdout.read()

    assert rest == "unwound\n"
    assert step.returncode == 143
