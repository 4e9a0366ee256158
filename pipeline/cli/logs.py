"""Handlers for what the pipeline logs: for people, for programs (JSON lines), and for GitHub's annotations."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, TextIO

Style = Literal["text", "json"]
ROOT = logging.getLogger("pipeline")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON without line breaks."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class StreamsHandler(logging.Handler):
    """Write errors to standard error, and everything else to standard output.

    `as_json`: standard output belongs to the command's result, and everything goes to standard error.
    A write that fails, as to a closed pipe, ends the command: it is not swallowed as logging's own handlers do.
    """

    def __init__(self, *, as_json: bool, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record and flush, so that a log shows each message when it is made."""
        print(self.format(record), file=self.stream(record), flush=True)

    def stream(self, record: logging.LogRecord) -> TextIO:
        """Return where the record goes."""
        return sys.stderr if self.as_json or record.levelno >= logging.ERROR else sys.stdout


class AnnotationHandler(StreamsHandler):
    """Write warnings and errors as GitHub's workflow commands, which it shows beside the run."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__(as_json=as_json, level=logging.WARNING)

    def format(self, record: logging.LogRecord) -> str:
        """Return `::warning::…`, or `::error title=…::…` for a PipelineError in `record.failure`."""
        from pipeline.cli.github import annotation, workflow_command

        failure = getattr(record, "failure", None)
        if failure is not None:
            return annotation(failure)
        return workflow_command(
            "error" if record.levelno >= logging.ERROR else "warning", record.getMessage()
        )

    def stream(self, record: logging.LogRecord) -> TextIO:  # noqa: ARG002
        """Return where GitHub reads workflow commands without disturbing the result."""
        return sys.stderr if self.as_json else sys.stdout


@contextmanager
def logging_to(style: Style, *, as_json: bool) -> Iterator[None]:
    """Log level INFO and above of `pipeline` for the length of one command."""
    words = StreamsHandler(as_json=as_json)
    if style == "json":
        words.setFormatter(JsonFormatter())
    handlers: list[logging.Handler] = [words]
    if os.environ.get("GITHUB_ACTIONS") == "true":
        handlers.append(AnnotationHandler(as_json=as_json))
    before = ROOT.level
    ROOT.setLevel(logging.INFO)
    for handler in handlers:
        ROOT.addHandler(handler)
    try:
        yield
    finally:
        ROOT.setLevel(before)
        for handler in handlers:
            ROOT.removeHandler(handler)
