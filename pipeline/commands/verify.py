"""The command `verify`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli import options
from pipeline.cli.interrupted import UPDATE_GOES_ON
from pipeline.cli.step import step

if TYPE_CHECKING:
    from pipeline.model import Model
    from pipeline.run import Run
    from pipeline.verification.evidence import Profile

log = logging.getLogger(__name__)


@step(example="--env staging --profile quick", locks=True, goes_on=UPDATE_GOES_ON)
@options.environment()
@options.release
@options.measuring
def command(
    run: "Run", *, release: str | None, config: Path, profile: "Profile", again: bool, shape: str | None
) -> "Model":
    """Smoke-test and load the live release; keep evidence of each gate.

    Measures capacity and scaling too, and gives every gate a verdict: passed, failed or inconclusive. Where a gate
    failed, `verification.on_failed` of the config says whether the release before is put back.
    """
    from pipeline.account.cost import PRICES, find_prices
    from pipeline.cli.named_release import find_release
    from pipeline.promotion.after_verification import verify_or_roll_back
    from pipeline.promotion.chain import following
    from pipeline.verification.verify import verify

    candidate = find_release(release, run)
    return verify_or_roll_back(
        candidate,
        run,
        lambda: verify(
            candidate,
            run,
            profile,
            again=again,
            following=following(run.env.name, config),
            shape=shape,
            prices=find_prices(config, run.env.aws.region) if (config / PRICES).is_file() else None,
        ),
    )
