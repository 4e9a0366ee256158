"""Every step that may change something leaves a line: who, what, when, with which release, how it ended."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import PIPELINE, main
from pipeline.cli.step import Step
from pipeline.config import Environment
from pipeline.errors import DeploymentRolledBack, ReleaseError
from pipeline.release import load_release
from pipeline.run import Run
from pipeline.state.audit import audit_lines, audit_prefix, audited, judged_in_words

ROOT = Path(__file__).parents[2]


def test_a_step_leaves_who_did_what_when_and_how_it_ended(
    account: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "octocat")
    before = time.time()
    with audited("deploy", account, None) as entry:
        entry.release = "a-b"
    (line,) = audit_lines(account, 20)

    assert (line.step, line.release, line.outcome, line.error) == ("deploy", "a-b", "succeeded", None)
    assert before <= line.at <= time.time()
    assert line.who.startswith("arn:aws:")
    assert line.user == "octocat"
    assert account.aws.made == [], "the line is no call of the step"


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
    account: Run, raised: BaseException, outcome: str, error: str | None
) -> None:
    with pytest.raises(type(raised)), audited("deploy", account, "a-b"):
        raise raised
    (line,) = audit_lines(account, 20)

    assert (line.release, line.outcome, line.error) == ("a-b", outcome, error)


def test_a_line_that_cannot_be_kept_is_said_and_hides_nothing(
    moto: str, env: Environment, tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    """Before `bootstrap` there is no bucket to keep it in."""
    with pytest.raises(ReleaseError), audited("deploy", Run.for_environment(env, tmp_path), None):
        raise ReleaseError("broken", fix="mend it")

    assert [sentence for sentence in said() if "no audit line of this deploy" in sentence] == said()
    assert said()


def test_the_newest_lines_are_shown_oldest_first(account: Run, make_env: Callable[..., Environment]) -> None:
    for step in ("publish", "deploy", "autoscale"):
        with audited(step, account, None):
            pass

    assert [line.step for line in audit_lines(account, 2)] == ["deploy", "autoscale"]
    assert audit_lines(account.in_environment(make_env(name="production")), 2) == []


@pytest.mark.starts_processes
def test_every_step_of_the_command_line_leaves_one_line(
    account: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    where = ["--env", "staging", "--build", str(tmp_path)]
    assert main(["publish", "--no-engine", *where]) == 0
    assert main(["plan", *where]) == 0
    kept = account.aws.keys(audit_prefix("staging"))
    assert main(["audit", *where]) == 0
    shown = capsys.readouterr().out.splitlines()[-1]

    (line,) = audit_lines(account, 20)

    assert [key.rpartition("-")[2] for key in kept] == ["publish.json"]
    assert line.release == load_release(tmp_path / "release.json").id
    assert "publish" in shown
    assert "succeeded" in shown
    assert account.aws.keys(audit_prefix("staging")) == kept, "looking leaves no line"


def test_what_leaves_no_line_is_named() -> None:
    commands = {name: PIPELINE.get_command(None, name) for name in PIPELINE.list_commands()}
    audited_steps = {name for name, each in commands.items() if isinstance(each, Step) and each.audited}

    assert audited_steps == {
        "bootstrap", "train", "publish", "deploy", "autoscale", "verify", "promote", "rollback", "load-test",
        "destroy", "gc", "unlock", "after-promotion", "replicate",
    }  # fmt: skip


def test_the_verdict_on_a_bake_is_in_the_line_whichever_way_was_taken(account: Run) -> None:
    rolled_back = DeploymentRolledBack("e", wanted="new", live="old", because="-")
    rolled_back.judged = "worse, roll_back"
    with pytest.raises(DeploymentRolledBack), audited("deploy", account, "a-b"):
        raise rolled_back
    with audited("deploy", account, "a-b") as entry:
        entry.judged = judged_in_words({"judged": {"verdict": "inconclusive", "taken": "proceed"}})
    lines = audit_lines(account, 20)

    assert [line.judged for line in lines] == ["worse, roll_back", "inconclusive, proceed"]
    assert "failed: DeploymentRolledBack (bake: worse, roll_back)" in str(lines[0])
    assert judged_in_words({"deploy": {"judged": {"verdict": "not worse", "taken": "proceed"}}}) == (
        "not worse, proceed"
    )
    assert judged_in_words({"judged": None}) is None
