"""The command `train`."""

import logging
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(
    example="--env staging",
    goes_on="A training job that was created goes on at AWS; the same command waits for it.",
)
@options.environment()
@options.building
def command(run: "Run", *, engine: bool, sbom: bool) -> "Model":
    """Train on AWS, once for the same image, data and settings.

    The last line names the result: set `weights:` in the config to it to release it.
    """
    from pipeline.publishing.image import MADE_OF
    from pipeline.publishing.publish import origin_of
    from pipeline.publishing.train import train

    return train(run, origin_of(*MADE_OF), engine=engine, sbom=sbom)
