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


@step(example="--env staging", audited=False)
@options.environment(required=False)
def command(run: "Run", *, config: Path, as_json: bool) -> "Model":
    """Show what is live in every environment of the account.

    Release, fleet, scaling, alarms, and drift from the config.
    """
    from rich.console import Console

    from pipeline.cli.environments import of_same_account
    from pipeline.promotion.status import Overview, environment_status, show

    here = of_same_account(run.env, config)
    overview = Overview(environments=tuple(environment_status(run.in_environment(env)) for env in here))
    if not as_json:
        show(overview.environments, Console(width=None if sys.stdout.isatty() else TABLE_COLUMNS))
    return overview
