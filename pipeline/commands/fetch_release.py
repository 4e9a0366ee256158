"""The command `fetch-release`."""

import logging
from typing import TYPE_CHECKING

import click

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run

log = logging.getLogger(__name__)


@step(example="--env production --release 3f0c1d2e4b5a-9a1b2c3d", audited=False)
@options.environment()
@click.option(
    "--release",
    metavar="RELEASE",
    help="The id of a published release.  [default: the one that `rollback` goes back to]",
)
def command(run: "Run", *, release: str | None) -> "Model":
    """Write the manifest of a published release to BUILD/release.json.

    A workflow resolves the release that it is about once, and passes its id to all further steps.
    """
    from pipeline.promotion.rollback import rollback_target
    from pipeline.release import MANIFEST
    from pipeline.release_store.manifests import published_release

    found = published_release(release or rollback_target(run), run.aws)
    found.save(run.build / MANIFEST)
    log.info("release %s → %s", found.id, run.build / MANIFEST)
    return found
