"""The service level objectives, and the load that tests them."""

from typing import Annotated

from pydantic import Field

from pipeline.config.field_types import Percent, PositiveFloat
from pipeline.model import Model


class Limits(Model):
    """The service level objectives; wall-clock seconds.

    `recovery_seconds`: from the moment at which an overload breaks the SLO until p95 is back within it, for
    profiles with an `overload`. `slower_percent`: by how much a candidate may be slower than the release in the
    next environment. `changed_answers_percent`: how many of its answers may differ from those of that release; None: not
    asked.
    """

    p99_ms: PositiveFloat
    error_percent: Percent
    scale_out_seconds: PositiveFloat
    scale_in_seconds: PositiveFloat
    recovery_seconds: PositiveFloat | None = None
    slower_percent: PositiveFloat = 25.0
    changed_answers_percent: Percent | None = None


class LoadProfile(Model):
    """The rates and durations of the load that `verify` generates.

    `overload`: the surge that makes the fleet grow, as a multiple of the smallest fleet's capacity; null: the surge
    stays within it, and the SLO is never broken. `compare_seconds`: of the load on candidate and baseline.
    `slower_percent`: instead of the SLO's, for a comparison that is too short to detect so small a difference.
    """

    step_seconds: PositiveFloat
    first_rps: PositiveFloat
    growth: Annotated[float, Field(gt=1)]
    maximum_rps: PositiveFloat
    steady_seconds: PositiveFloat
    compare_seconds: PositiveFloat = 30.0
    overload: Annotated[float, Field(gt=1)] | None = None
    slower_percent: PositiveFloat | None = None

    def slower_than(self, limits: Limits) -> float:
        """Return the percent by which a candidate may be slower than the release before it."""
        return limits.slower_percent if self.slower_percent is None else self.slower_percent


class Load(Model):
    """The profiles of `verify --profile quick|full`."""

    quick: LoadProfile
    full: LoadProfile
