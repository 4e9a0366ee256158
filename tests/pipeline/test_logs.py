"""Log records reach people as text, programs as JSON, and GitHub as annotations."""

import json
import logging
from datetime import datetime

import pytest

from pipeline.cli.logs import logging_to
from pipeline.errors import ConfigError

log = logging.getLogger("pipeline.tests")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def test_people_read_the_message_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to("text", as_json=False):
        log.debug("details")
        log.info("create endpoint %s", "e")
        log.error("it failed")
    log.info("afterwards")
    shown = capsys.readouterr()

    assert (shown.out, shown.err) == ("create endpoint e\n", "it failed\n")


def test_beside_json_everything_is_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to("text", as_json=True):
        log.info("create endpoint e")
    shown = capsys.readouterr()

    assert (shown.out, shown.err) == ("", "create endpoint e\n")


def test_a_program_reads_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to("json", as_json=False):
        log.info("two\nlines · %d", 2)
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            log.warning("with its traceback", exc_info=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())

    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {"level": "INFO", "logger": "pipeline.tests", "message": "two\nlines · 2"}
    assert (second["level"], second["message"]) == ("WARNING", "with its traceback")
    assert "ZeroDivisionError" in second["exception"]


def test_github_shows_warnings_and_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    error = ConfigError("wrong", fix="mend it")
    with logging_to("text", as_json=False):
        log.info("fine")
        log.warning("100 % odd:\nlook")
        log.error("%s", error, extra={"failure": error})
    shown = capsys.readouterr()

    assert shown.out.splitlines() == [
        "fine",
        "100 % odd:",
        "look",
        "::warning::100 %25 odd:%0Alook",
        "::error title=ConfigError (exit code 2)::wrong%0A  fix: mend it",
    ]
    assert shown.err == "wrong\n  fix: mend it\n"


def test_a_closed_pipe_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError), logging_to("text", as_json=False):
        log.info("into nothing")
