"""The conditions of a promotion, and the action on the source environment afterwards."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.field_types import PositiveInt
from pipeline.model import Model


class Promotion(Model):
    """The conditions under which this environment accepts a release."""

    evidence_age_hours: Annotated[float, Field(gt=0)] = 168.0  # wall-clock; older evidence is refused
    scan_stops_at: Literal["critical", "high", "medium", "low", "never"] = (
        "critical"  # found by ECR, or worse
    )
    scan_wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 300.0  # wall-clock, for ECR's scan to end


class AfterPromotion(Model):
    """The action on this environment's endpoint once its release was promoted.

    It is kept, scaled down to `instances` until the next deployment, or deleted until the next deployment.
    """

    action: Literal["keep", "scale_down", "delete"] = "keep"
    instances: PositiveInt | None = None

    @model_validator(mode="after")
    def _size_belongs_to_scaling_down(self) -> Self:
        if (self.action == "scale_down") != (self.instances is not None):
            raise ValueError("instances belongs to action: scale_down, which needs it")
        return self
