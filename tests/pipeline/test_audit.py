"""Every step that may change something leaves a line: who, what, when, with which release, how it ended."""

import time
from pathlib import Path

import pytest

from pipeline.__main__ import PIPELINE, main
from pipeline.aws import Aws
from pipeline.cli.step import Step
from pipeline.config import Environment
from pipeline.errors import ReleaseError
from pipeline.release import load_release
from pipeline.state.audit import audit_prefix, audited, lines

ROOT = Path(__file__).parents[2]


def quiet(_: str) -> None: ...


def test_a_step_leaves_who_did_what_when_and_how_it_ended(
    account: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "octocat")
    before = time.time()
    with audited("deploy", "staging", None, account, quiet) as entry:
        entry.release = "a-b"
    (line,) = lines("staging", account, 20)

    assert (line.step, line.release, line.outcome, line.error) == ("deploy", "a-b", "succeeded", None)
    assert before <= line.at <= time.time()
    assert line.who.startswith("arn:aws:")
    assert line.user == "octocat"
    assert account.made == [], "the line is no call of the step"


@pytest.mark.parametrize(
    ("raised", "outcome", "error"),
    [
        (ReleaseError("broken", fix="mend it"), "failed", "ReleaseError"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
        (KeyboardInterrupt(), "interrupted", None),
        (SystemExit(143), "interrupted", None),
    ],
)
def test_a_step_that_did_not_succeed_leaves_its_line_too(
    account: Aws, raised: BaseException, outcome: str, error: str | None
) -> None:
    with pytest.raises(type(raised)), audited("deploy", "staging", "a-b", account, quiet):
        raise raised
    (line,) = lines("staging", account, 20)

    assert (line.release, line.outcome, line.error) == ("a-b", outcome, error)


def test_a_line_that_cannot_be_kept_is_said_and_hides_nothing(moto: str, env: Environment) -> None:
    """Before `bootstrap` there is no bucket to keep it in."""
    said: list[str] = []
    with (
        pytest.raises(ReleaseError),
        audited("deploy", "staging", None, Aws(env), said.append),
    ):
        raise ReleaseError("broken", fix="mend it")

    assert [sentence for sentence in said if "no audit line of this deploy" in sentence] == said
    assert said


def test_the_newest_lines_are_shown_oldest_first(account: Aws) -> None:
    for step in ("publish", "deploy", "autoscale"):
        with audited(step, "staging", None, account, quiet):
            pass

    assert [line.step for line in lines("staging", account, 2)] == ["deploy", "autoscale"]
    assert lines("production", account, 2) == []


def test_every_step_of_the_command_line_leaves_one_line(
    account: Aws, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    where = ["--env", "staging", "--build", str(tmp_path)]
    assert main(["publish", "--no-engine", *where]) == 0
    assert main(["plan", *where]) == 0
    kept = account.keys(audit_prefix("staging"))
    assert main(["audit", *where]) == 0
    shown = capsys.readouterr().out.splitlines()[-1]

    (line,) = lines("staging", account, 20)

    assert [key.rpartition("-")[2] for key in kept] == ["publish.json"]
    assert line.release == load_release(tmp_path / "release.json").id
    assert "publish" in shown
    assert "succeeded" in shown
    assert account.keys(audit_prefix("staging")) == kept, "looking leaves no line"


def test_what_leaves_no_line_is_named() -> None:
    commands = {name: PIPELINE.get_command(None, name) for name in PIPELINE.list_commands()}
    audited_steps = {name for name, each in commands.items() if isinstance(each, Step) and each.audited}

    assert audited_steps == {
        "bootstrap", "train", "publish", "deploy", "autoscale", "verify", "promote", "rollback", "load-test",
        "destroy", "gc", "unlock", "after-promotion",
    }  # fmt: skip
