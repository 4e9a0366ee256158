"""The command `status`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

TABLE_COLUMNS = 150  # of a table in a log, which has no terminal's width


@step(example="--env staging", audited=False, reads=True)
@options.account
def command(run: "Run", *, config: Path, as_json: bool) -> "Model":
    """Show what is live in every environment.

    Release, fleet, scaling, alarms, and drift from the config. Another account is looked at by its read role.
    """
    from rich.console import Console

    from pipeline.cli.environments import readable
    from pipeline.config import environments, load_environment
    from pipeline.promotion.status import Overview, environment_status, show

    every = [load_environment(name, config) for name in environments(config)]
    runs = [there for env in every if (there := readable(env, run)) is not None]
    overview = Overview(environments=tuple(map(environment_status, runs)))
    if not as_json:
        show(overview.environments, Console(width=None if sys.stdout.isatty() else TABLE_COLUMNS))
    return overview
