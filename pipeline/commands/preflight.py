"""The command `preflight`."""

import json
import logging
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging", audited=False)
@options.environment()
@options.release
@options.strategy
def command(run: "Run", *, release: str | None, as_json: bool = False) -> "Model":
    """Check all that a deployment needs, and list every problem.

    Takes seconds, writes nothing, and names the fix of each problem.
    """
    from pipeline.cli.named_release import find_release
    from pipeline.preflight.preflight import PreflightSnapshot, inspect, require_clear

    result = inspect(PreflightSnapshot(find_release(release, run), run))
    if as_json and result.problems:  # the error that follows does not have them as data
        click.echo(json.dumps(result.document(), indent=2))
    return require_clear(result)
