"""The promise to clients, and how hard it is tested."""

from typing import Annotated

from pydantic import Field

from pipeline.config.field_types import Percent, PositiveFloat
from pipeline.model import Model


class Limits(Model):
    """The promise to clients; wall-clock seconds.

    `recovery_seconds`: from the moment at which an overload breaks the promise until p95 keeps it again, for
    profiles with an `overload`. `slower_percent`: how much slower than the release in the next environment a
    candidate may be.
    """

    p99_ms: PositiveFloat
    error_percent: Percent
    scale_out_seconds: PositiveFloat
    scale_in_seconds: PositiveFloat
    recovery_seconds: PositiveFloat | None = None
    slower_percent: PositiveFloat = 25.0


class LoadProfile(Model):
    """How hard and how long `verify` measures.

    `overload`: the surge that makes the fleet grow, as a multiple of what the smallest fleet serves; null keeps
    within that, so that the promise is never broken. `compare_seconds`: of the load on candidate and baseline.
    `slower_percent`: in place of the promise's, for a comparison that is too short to tell as little from chance.
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
        """How much slower than the release before it a candidate may be, in percent."""
        return limits.slower_percent if self.slower_percent is None else self.slower_percent


class Load(Model):
    """The profiles of `verify --profile quick|full`."""

    quick: LoadProfile
    full: LoadProfile
