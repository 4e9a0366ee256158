"""The alarms that roll a deployment back."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.field_types import (
    Metric,
    MissingData,
    Namespace,
    Percent,
    Period,
    PositiveFloat,
    PositiveInt,
    ShortName,
    Statistic,
)
from pipeline.model import Model

MOST_ALARMS = 10  # SageMaker takes ten
OURS = ("p99-latency", "5xx-errors", "model-errors", "smoke-veto")


class CustomAlarm(Model):
    """An alarm on any metric of the endpoint, in that metric's own unit.

    `scope: new_fleet` watches the fleet on the new endpoint config only, `endpoint` the old fleet too: for
    metrics without that dimension, as those of /aws/sagemaker/Endpoints. Periods default to those of `alarms`.
    """

    name: ShortName
    metric: Metric
    namespace: Namespace = "AWS/SageMaker"
    statistic: Statistic
    threshold: float
    comparison: Literal["above", "at_least", "below", "at_most"] = "above"
    period_seconds: Period | None = None
    evaluation_periods: PositiveInt | None = None
    missing_data: MissingData = "not_breaching"
    scope: Literal["new_fleet", "endpoint"] = "new_fleet"
    dimensions: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _its_dimension_exists(self) -> Self:
        if self.namespace == "/aws/sagemaker/Endpoints" and self.scope == "new_fleet":
            raise ValueError(
                f"{self.name}: metrics of {self.namespace} lack the EndpointConfigName dimension; "
                "set `scope: endpoint`"
            )
        return self

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name in OURS:
            raise ValueError(f"'{name}' is the name of one of the pipeline's own alarms {list(OURS)}")
        return name


class Alarms(Model):
    """The alarms that roll a deployment back; CloudWatch periods are AWS seconds.

    `custom`: alarms on other metrics, made with each fleet. `named`: existing alarms of your own that roll it
    back too.
    """

    p99_latency_ms: PositiveFloat
    error_percent: Percent
    period_seconds: Period
    evaluation_periods: PositiveInt
    custom: tuple[CustomAlarm, ...] = ()
    named: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = ()

    @model_validator(mode="after")
    def _sagemaker_accepts_this_many(self) -> Self:
        names = [each.name for each in self.custom]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"custom: {twice} is there twice")
        count = len(OURS) + len(self.custom) + len(self.named)
        if count > MOST_ALARMS:
            raise ValueError(
                f"{count} alarms, {len(OURS)} of them the pipeline's own; SageMaker takes at most {MOST_ALARMS}"
            )
        return self
