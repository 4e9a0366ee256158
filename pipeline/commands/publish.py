"""The command `publish`."""

import logging
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env staging")
@options.environment()
@options.weights
@options.golden
@options.packages
@click.option(
    "--unchecked", is_flag=True, help="Publish without golden requests; every verdict says UNCHECKED then."
)
@options.building
@click.option(
    "--rebuild", is_flag=True, help="Build the image's layers anew, for the base system's security fixes."
)
def command(
    run: "Run",
    *,
    weights: str | None,
    golden: str | None = None,
    packages: str | None = None,
    unchecked: bool = False,
    engine: bool,
    sbom: bool,
    rebuild: bool = False,
) -> "Model":
    """Push image and weights, and write the release manifest.

    The image goes to ECR, the weights to S3. The same content gives the same release.
    """
    from dataclasses import replace

    from pipeline.publishing.publish import publish

    if packages is not None:
        run = replace(run, env=run.env.model_copy(update={"packages": packages}))
    return publish(
        run,
        weights=weights,
        golden=golden,
        unchecked=unchecked,
        engine=engine,
        sbom=sbom,
        rebuild=rebuild,
    )
