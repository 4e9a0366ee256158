"""The command `load-test`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging --shape spike")
@options.environment()
@click.option(
    "--shape", metavar="NAME", default="steps", show_default=True, help="Load by config/shapes/NAME.yaml."
)
@click.option(
    "--minutes", type=float, metavar="N", help="Stretch the shape to this length.  [default: its own]"
)
@click.option(
    "--times-rate",
    type=float,
    metavar="X",
    default=1.0,
    show_default=True,
    help="Multiply the shape's rates.",
)
@click.option(
    "--workers", type=int, metavar="N", default=1, show_default=True, help="Processes that share the load."
)
@click.option(
    "--share",
    type=int,
    metavar="N",
    help="Be one of N generators: offer an N-th of the load, and judge nothing.",
)
@click.option("--at", type=float, metavar="EPOCH", help="Begin at this time, as the other generators do.")
@click.option(
    "--join",
    type=options.FOLDER,
    metavar="DIR",
    help="Join and judge the results of generators; offer no load.",
)
@click.option(
    "--payloads",
    metavar="SOURCE",
    help="A golden set, a file with a body on each line, or FILE.py:FUNCTION.  [default: the release's golden set]",
)
def command(
    run: "Run",
    *,
    shape: str,
    minutes: float | None,
    times_rate: float,
    workers: int,
    share: int | None,
    at: float | None,
    join: Path | None,
    payloads: str | None,
) -> "Model":
    """Load the live release by a shape, and judge it by the limits.

    Shapes are files of config/shapes. Several machines can share a load: --share on each, then --join.
    """
    from pipeline.verification.load_shapes import LoadTestOptions
    from pipeline.verification.run_load_test import judge_joined, offer_share, run_load_test

    options = LoadTestOptions(shape, minutes, times_rate, workers, payloads, share, at)
    if join is not None:
        return judge_joined(join, shape, run)
    if share is not None:
        return offer_share(options, run)
    return run_load_test(options, run)
