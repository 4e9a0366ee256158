"""A step: a command that works on AWS in one environment, and that other commands can run too."""

import inspect
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec

import click

from pipeline.cli import options
from pipeline.cli.command import Command, make_command, parameters_of
from pipeline.cli.interrupted import interrupted

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run
    from pipeline.state.records import StepRecord

log = logging.getLogger(__name__)
P = ParamSpec("P")


class Step(Command, Generic[P]):
    """A command whose function takes a Run and those options that it names, and returns a result.

    `locks`: it changes or measures an environment, and only one such step at a time may. `audited`: it
    leaves an audit line. `instead`: flags for which another step runs in its place. `goes_on`: what goes on at AWS
    when it is interrupted.
    """

    def __init__(
        self,
        *,
        callback: "Callable[Concatenate[Run, P], Model]",
        params: Sequence[click.Parameter],
        locks: bool,
        audited: bool,
        instead: "Mapping[str, Step[Any]]",
        goes_on: str,
        **attrs: Any,
    ) -> None:
        place = parameters_of(options.build, options.config)
        super().__init__(callback=self._run_from_options, params=[*params, *place], **attrs)
        self.work, self.locks, self.audited, self.instead = callback, locks, audited, instead
        self.goes_on = goes_on
        self.accepted = frozenset(list(inspect.signature(callback).parameters)[1:])

    def execute(self, run: "Run", *args: P.args, **kwargs: P.kwargs) -> "StepRecord":
        """Run the step as one part of a longer command, after a line that says so."""
        log.info("── %s %s", self.name, run.env.name)
        return self._execute(run, lambda: self.work(run, *args, **kwargs), kwargs.get("release"))

    def _execute(self, run: "Run", work: "Callable[[], Model]", release: object) -> "StepRecord":
        from pipeline.cli.named_release import known_release
        from pipeline.cli.step_runner import run_recorded

        known = None
        if self.audited and "release" in self.accepted:
            known = known_release(str(release) if release else None, run.build)
        return run_recorded(self, run, known, work)

    def _run_from_options(self, **chosen: Any) -> None:
        """Run what the command line asks for, and print the result where JSON was asked for."""
        from pipeline.cli.environments import open_run

        run = open_run(chosen["env"], chosen["config"], chosen["build"], chosen.get("strategy", "own"))
        step = next((other for flag, other in self.instead.items() if chosen[flag]), self)
        work: Callable[..., Model] = step.work
        accepted = {name: value for name, value in chosen.items() if name in step.accepted}
        try:
            record = step._execute(run, lambda: work(run, **accepted), chosen.get("release"))
        except (KeyboardInterrupt, SystemExit) as cause:
            ended = interrupted(str(step.name), run.env.name, step.goes_on, cause)
            raise ended or cause from cause
        if chosen["as_json"]:
            click.echo(json.dumps(record.result, indent=2))


def step(
    *,
    example: str,
    locks: bool = False,
    audited: bool = True,
    instead: Mapping[str, Step[Any]] | None = None,
    goes_on: str = "",
) -> "Callable[[Callable[Concatenate[Run, P], Model]], Step[P]]":
    """Make a step of a function; see Step for what the arguments mean."""
    attrs: dict[str, Any] = {"example": example, "locks": locks, "audited": audited, "instead": instead or {}}
    attrs["goes_on"] = goes_on
    return lambda work: make_command(work, Step, **attrs)
