"""The command `replicate`."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run


@step(example="--env production")
@options.environment()
@options.release
def command(run: "Run", *, config: Path, release: str | None) -> "Model":
    """Copy a release to this environment's account.

    Copies image, weights, golden set, evidence and manifest from the environment before, by digest. Without another
    account or Region there is nothing to copy.
    """
    from pipeline.cli.named_release import known_release
    from pipeline.config import load_environment
    from pipeline.errors import ConfigError, ReleaseError
    from pipeline.promotion.replicate import replicate

    named = known_release(release, run.build)
    if named is None:
        raise ReleaseError(
            "There is no release to copy.", fix="Name its id: --release ID, as `status` shows it."
        )
    if run.env.promotes_from is None:
        raise ConfigError(
            f"Nothing is copied to {run.env.name}: its promotes_from is null.", fix="Publish to it."
        )
    return replicate(named, run, load_environment(run.env.promotes_from, config))
