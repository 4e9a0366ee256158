"""A command of the pipeline: an example in its help, log output, and an exit code for every error."""

import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from pipeline.cli import options
from pipeline.cli.folder import SETTINGS
from pipeline.cli.interrupted import READER_GONE
from pipeline.cli.logs import logging_to
from pipeline.errors import PipelineError

log = logging.getLogger(__name__)
Work = Callable[..., None]
CommandT = TypeVar("CommandT", bound="Command")


class Command(click.Command):
    """A click command with an example, `--json` and `--log`; a PipelineError ends it with its exit code."""

    def __init__(self, *, example: str, params: Sequence[click.Parameter], **attrs: Any) -> None:
        summary = str(attrs["help"]).partition("\n")[0]
        super().__init__(
            params=[*params, *parameters_of(options.as_json, options.log)],
            short_help=summary,
            epilog=f"\b\nexample: python -m pipeline {attrs['name']} {example}",
            context_settings=SETTINGS,
            **attrs,
        )
        self.example = example

    def invoke(self, ctx: click.Context) -> None:
        """Run the command with its log handlers. Leaves click by the exit code of a PipelineError."""
        as_json = ctx.params["as_json"]
        with logging_to(ctx.params.pop("log"), as_json=as_json):
            try:
                super().invoke(ctx)
                sys.stdout.flush()  # here, where a closed pipe is a quiet end
            except BrokenPipeError:  # its reader has read enough, as `head` does
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                ctx.exit(READER_GONE)
            except PipelineError as error:
                _report(error, as_json=as_json)
                ctx.exit(error.exit_code)


def _report(error: PipelineError, *, as_json: bool) -> None:
    """Tell people, GitHub (by the log's handlers) and a program that asked for JSON what went wrong."""
    name = type(error).__name__
    log.error("%s: %s", name, error, extra={"failure": error})
    if as_json:
        document = {"error": name, "exit_code": error.exit_code, "what": error.what, "fix": error.fix}
        print(json.dumps(document, indent=2))


def parameters_of(*decorators: Callable[[Work], Work]) -> list[click.Parameter]:
    """Return the options that decorators would add to a command."""

    def nothing() -> None: ...

    for decorate in reversed(decorators):
        decorate(nothing)
    return click.command(nothing).params


def make_command(work: Callable[..., object], cls: type[CommandT], **attrs: Any) -> CommandT:
    """Make a command of a function with options: named by its module, explained by its docstring."""
    name = work.__module__.rpartition(".")[2].replace("_", "-")
    text = inspect.cleandoc(work.__doc__ or "")
    return click.command(name, cls=cls, help=text, **attrs)(work)


def command(*, example: str) -> Callable[[Callable[..., None]], Command]:
    """Make a command that needs neither AWS nor one environment."""
    return lambda work: make_command(work, Command, example=example)
