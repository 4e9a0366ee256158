"""The command `release`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.interrupted import UPDATE_GOES_ON
from pipeline.cli.step import step
from pipeline.commands import (
    after_promotion,
    autoscale,
    bootstrap,
    deploy,
    preflight,
    promote,
    publish,
    verify,
)

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run
    from pipeline.verification.evidence import Profile

log = logging.getLogger(__name__)


@step(
    example="--through production", audited=False, goes_on=UPDATE_GOES_ON
)  # each of its steps leaves an audit line of its own
@options.environment("--through")
@options.weights
@options.golden
@options.building
@options.measuring
def command(
    run: "Run",
    *,
    config: Path,
    weights: str | None,
    golden: str | None = None,
    engine: bool,
    sbom: bool,
    profile: "Profile",
    again: bool,
    shape: str | None,
) -> "Model":
    """Run all steps in order, up to the named environment.

    First environment: bootstrap, publish, preflight, deploy, autoscale, verify. Each following one:
    bootstrap, preflight, promote, after-promotion of the one before, and verify if another one follows.
    """
    from pipeline.cli.journey import JourneyResult
    from pipeline.cli.named_release import find_release
    from pipeline.promotion.chain import chain_to

    chain = chain_to(run.env.name, config)
    runs = [run.in_environment(env) for env in chain]
    for before, here in zip([None, *runs[:-1]], runs, strict=True):
        bootstrap.command.execute(here, env=here.env.name, config=config)
        if before is None:
            publish.command.execute(here, weights=weights, golden=golden, engine=engine, sbom=sbom)
            preflight.command.execute(here, release=None)
            deploy.command.execute(here, release=None)
            autoscale.command.execute(here, release=None)
        else:
            preflight.command.execute(here, release=None)
            promote.command.execute(here, release=None)
            after_promotion.command.execute(before, release=None)
        if before is None or here is not runs[-1]:
            verify.command.execute(
                here, release=None, config=config, profile=profile, again=again, shape=shape
            )
    names, calls, release = tuple(env.name for env in chain), len(run.aws.made), find_release(None, run)
    log.info("%s went through %s: %d calls made", release.id, ", ".join(names), calls)
    return JourneyResult(release=release.id, environments=names, calls=calls)
