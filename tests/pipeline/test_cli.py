"""The command line: every command explains itself, every failure has an exit code of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

from pipeline import commands, errors
from pipeline.__main__ import PIPELINE, main
from pipeline.cli.interrupted import INTERRUPTED, READER_GONE
from pipeline.cli.step import Step
from pipeline.commands import release as journey
from pipeline.config import load_environment
from pipeline.errors import PipelineError
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.audit import audit_prefix

ROOT = Path(__file__).parents[2]
ERRORS = [
    each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, PipelineError)
]
COMMANDS = PIPELINE.list_commands()
MOVES_TRAFFIC = ["deploy", "plan", "preflight", "promote", "rollback"]
EVERY_COMMAND = pytest.mark.parametrize("command", COMMANDS)


def found(command: str) -> click.Command:
    made = PIPELINE.get_command(None, command)
    assert made is not None
    return made


def options(command: str) -> list[click.Option]:
    return [each for each in found(command).params if isinstance(each, click.Option)]


def example_of(command: str) -> list[str]:
    """Return the words after `python -m pipeline` of the example in its help."""
    return str(found(command).epilog).rpartition("example: python -m pipeline ")[2].split()


def undocumented(names: list[str]) -> list[str]:
    """Return the commands that docs/pipeline.md does not mention."""
    page = (ROOT / "docs/pipeline.md").read_text()
    return [name for name in names if not re.search(rf"`{name}[ `]", page)]


def completions(*words: str) -> list[str]:
    """Return what the shell offers for the last of the words."""
    shell = ShellComplete(PIPELINE, {}, "pipeline", "_PIPELINE_COMPLETE")
    return [each.value for each in shell.get_completions(list(words[:-1]), words[-1])]


def run_module(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def silent_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set an AWS endpoint that is bound, but on which nobody listens."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield


@pytest.fixture
def add_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Add a file to the folder of commands, and nothing else."""
    before = {*sys.modules}

    def add(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])

    yield add
    for name in {*sys.modules} - before:
        if name.startswith("pipeline.commands."):
            del sys.modules[name]


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


GREET = """
import click
from pipeline.cli import options
from pipeline.cli.command import command as make

@make(example="--env staging")
@options.environment()
def command(env: str, *, as_json: bool) -> None:
    '''Greet an environment.'''
    click.echo(f"hello {env}")
"""


def test_a_command_is_one_file(
    add_command: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A new file is in --help, runs, completes, and is missed in the documentation."""
    add_command("greet_all", GREET)

    assert main(["--help"]) == 0
    assert re.search(r"^  greet-all +Greet an environment\.$", capsys.readouterr().out, re.MULTILINE)
    assert main(example_of("greet-all")) == 0
    assert capsys.readouterr().out == "hello staging\n"
    assert completions("gr") == ["greet-all"]
    assert undocumented(PIPELINE.list_commands()) == ["greet-all"]


def test_the_list_of_commands_is_the_folder() -> None:
    files = {path.stem.replace("_", "-") for path in (ROOT / "pipeline/commands").glob("*.py")}

    assert set(COMMANDS) == files - {"--init--"}


@EVERY_COMMAND
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([command, "--help"])
    shown = capsys.readouterr().out

    assert code == 0
    assert shown.rpartition("example: python -m pipeline ")[2].split() == example_of(command)
    assert example_of(command)[0] == command
    assert found(command).short_help
    assert all(option.help for option in options(command))


def test_every_command_is_in_the_documentation() -> None:
    assert undocumented(COMMANDS) == []


@EVERY_COMMAND
def test_every_example_runs_as_it_is_written(
    command: str, silent_aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the first call of AWS, if it makes one, or to the token of GitHub that is missing."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("GH_TOKEN", raising=False)
    needs_aws = errors.AwsUnreachable.exit_code if isinstance(found(command), Step) else 0
    expected = {"github-check": errors.ConfigError.exit_code}.get(command, needs_aws)

    assert main(example_of(command)) == expected


def test_the_example_of_promote_names_an_environment_that_is_promoted_to(
    account: Run, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    release.save(tmp_path / "release.json")

    assert main([*example_of("promote"), "--build", str(tmp_path)]) == errors.PromotionRefused.exit_code


@EVERY_COMMAND
def test_every_command_speaks_json(command: str) -> None:
    assert "--json" in {word for option in options(command) for word in option.opts}


@EVERY_COMMAND
def test_no_option_is_lost_on_its_way_to_the_step(command: str) -> None:
    """A step's function takes each option; those that every step has make its Run."""
    step = found(command)
    if not isinstance(step, Step):
        return
    chosen = {str(param.name) for param in step.params}
    shared = {"env", "build", "config", "as_json", "log", "strategy"}

    assert chosen - step.accepted <= shared | set(step.instead)
    assert step.accepted <= chosen


def test_a_release_runs_the_other_commands_in_their_order(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the options that were given, those that concern each of them."""
    ran: list[str] = []
    chosen: dict[str | None, dict[str, Any]] = {}

    def execute(step: Step[Any], run: Run, **options: Any) -> None:
        ran.append(f"{step.name} {run.env.name}")
        chosen[step.name] = options

    monkeypatch.setattr(Step, "execute", execute)
    release.save(tmp_path / "release.json")
    production = load_environment("production", ROOT / "config")
    result = journey.command.work(
        Run.for_environment(production, tmp_path),
        config=ROOT / "config",
        weights="w",
        engine=False,
        sbom=True,
        profile="quick",
        again=False,
        shape=None,
    )

    assert ran == [
        *(
            f"{step} staging"
            for step in ("bootstrap", "publish", "preflight", "deploy", "autoscale", "verify")
        ),
        *(f"{step} production" for step in ("bootstrap", "preflight", "promote")),
        "after-promotion staging",
    ]
    assert chosen["publish"] == {"weights": "w", "golden": None, "engine": False, "sbom": True}
    assert chosen["verify"]["profile"] == "quick"
    assert result.document()["environments"] == ["staging", "production"]


def test_a_dry_run_is_a_plan(account: Run, release: Release, tmp_path: Path) -> None:
    release.save(tmp_path / "release.json")
    where = ["--env", "staging", "--build", str(tmp_path), "--config", str(ROOT / "config")]

    assert main(["deploy", "--dry-run", *where]) == 0
    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["plan.json"]
    assert account.aws.keys(audit_prefix("staging")) == []


@pytest.mark.starts_processes
def test_help_answers_at_once() -> None:
    """Nothing heavy is imported before a command runs, whichever it is."""
    script = (
        "import sys; from pipeline.__main__ import PIPELINE; "
        "[PIPELINE.get_command(None, name) for name in PIPELINE.list_commands()]; print(*sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert not {"boto3", "botocore", "pydantic", "rich", "yaml"} & set(shown.stdout.split())


def test_names_of_environments_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "elsewhere.yaml").touch()

    assert completions("deploy", "--env", "") == ["production", "staging"]
    assert completions("deploy", "--env", "st") == ["staging"]
    assert completions("release", "--through", "p") == ["production"]
    assert completions("deploy", "--config", str(tmp_path), "--env", "") == ["elsewhere"]


@pytest.mark.starts_processes
def test_bash_completes_what_is_typed() -> None:
    """Through the script of docs/pipeline.md, for `python -m pipeline`, and for no other module."""
    script = f"""
eval "$(_PIPELINE_COMPLETE=bash_source {sys.executable} -m pipeline)"
COMP_WORDS=({sys.executable} -m pipeline deploy --env s) COMP_CWORD=5; _pipeline_completion
echo "${{COMPREPLY[@]}}"
COMP_WORDS=({sys.executable} -m pip deploy) COMP_CWORD=3; _pipeline_completion
echo "${{#COMPREPLY[@]}}"
complete -p python
"""
    shown = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert shown.stdout.splitlines() == [
        "staging", "0", "complete -o default -F _pipeline_completion python"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["deplyo", "--env", "staging"], "Did you mean 'deploy'?"),
        (["deploy", "--evn", "staging"], "Did you mean '--env'?"),
        (["deploy", "--env", "stagng"], "did you mean staging?"),
        (["release", "--through", "prodction"], "did you mean production?"),
        (["config", "--env", "stagng"], "did you mean staging?"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_closest_one(
    words: list[str], suggestion: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)

    assert main(words) == 2
    assert suggestion in capsys.readouterr().err


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
    silent_aws: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["status", "--env", "staging", "--build", str(tmp_path), "--config", str(ROOT / "config")])

    assert code == errors.AwsUnreachable.exit_code
    assert "AWS_ENDPOINT_URL" in capsys.readouterr().err


WAITING = """
import runpy, signal
import pipeline.cli.folder
def main(*_, **__):
    try:
        print("running", flush=True)
        signal.pause()
    finally:
        print("unwound", flush=True)
pipeline.cli.folder.CommandFolder.invoke = main
import sys; sys.argv = ["pipeline", "config"]
runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
"""


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGTERM, 143, ""), (signal.SIGINT, INTERRUPTED, "Interrupted. Run the same command again")],
)
def test_a_step_that_is_told_to_end_unwinds_what_it_has_started(
    number: signal.Signals, code: int, says: str
) -> None:
    """SIGTERM ends a step as Ctrl-C does: its load test and its measuring endpoint go with it."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as step:
        assert step.stdout is not None
        assert step.stderr is not None
        assert step.stdout.readline() == "running\n"
        step.send_signal(number)
        rest, told = step.stdout.read(), step.stderr.read()

    assert rest == "unwound\n"
    assert step.returncode == code
    assert told.strip().startswith(says)
    assert len(told.strip().splitlines()) == bool(says)


@pytest.mark.starts_processes
def test_a_reader_that_has_read_enough_ends_a_command_quietly() -> None:
    """`config schema | head -1`, with a pipe that is closed already."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "config", "schema"],
            cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip

    assert done.stderr == ""
    assert done.returncode == READER_GONE
