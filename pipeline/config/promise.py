"""The promise to clients, and how hard it is tested."""

from typing import Annotated

from pydantic import Field

from pipeline.config.fields import Percent, PositiveFloat
from pipeline.model import Model


class Limits(Model):
    """The promise to clients; wall-clock seconds."""

    p99_ms: PositiveFloat
    error_percent: Percent
    scale_out_seconds: PositiveFloat
    scale_in_seconds: PositiveFloat


class LoadProfile(Model):
    """How hard and how long `verify` measures."""

    step_seconds: PositiveFloat
    first_rps: PositiveFloat
    growth: Annotated[float, Field(gt=1)]
    maximum_rps: PositiveFloat
    steady_seconds: PositiveFloat


class Load(Model):
    """The profiles of `verify --profile quick|full`."""

    quick: LoadProfile
    full: LoadProfile
