"""The alarms that roll a deployment back."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.field_types import (
    Metric,
    MinutePeriod,
    MissingData,
    Namespace,
    Percent,
    Period,
    PositiveFloat,
    PositiveInt,
    ShortName,
    SnsTopic,
    Statistic,
)
from pipeline.model import Model

MINUTE = 60  # seconds: the resolution of AWS's own metrics
MOST_ALARMS = 10  # SageMaker takes ten
OURS = ("slow-requests", "5xx-errors", "model-errors", "smoke-veto")


class CustomAlarm(Model):
    """An alarm on any metric of the endpoint, in that metric's own unit.

    `scope: new_fleet` watches the fleet on the new endpoint config only, `endpoint` the old fleet too: for
    metrics without that dimension, as those of /aws/sagemaker/Endpoints. Periods default to those of `alarms`.
    `low_samples: ignore`: too few samples for a percentile (1,000 for a p99) change no state; other statistics are
    always evaluated.
    """

    name: ShortName
    metric: Metric
    namespace: Namespace = "AWS/SageMaker"
    statistic: Statistic
    threshold: float
    comparison: Literal["above", "at_least", "below", "at_most"] = "above"
    period_seconds: Period | None = None
    evaluation_periods: PositiveInt | None = None
    datapoints_to_alarm: PositiveInt | None = None
    low_samples: Literal["ignore", "evaluate"] = "ignore"
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

    @model_validator(mode="after")
    def _its_metric_has_that_resolution(self) -> Self:
        if self.namespace.startswith("AWS/") and (self.period_seconds or MINUTE) < MINUTE:
            raise ValueError(
                f"{self.name}: metrics of {self.namespace} have one datapoint a minute; set `period_seconds: 60`"
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

    Ours judge shares: one request in 100 may be slower than `p99_latency_ms`, and `error_percent` may fail; both
    default to the limits. A datapoint breaches when more requests are bad than chance explains, and an alarm fires
    when `datapoints_to_alarm` of `evaluation_periods` breach. `false_alarm_percent`: the most that an hour of bakes
    may risk to roll back a release that just keeps both promises, at any rate of requests; `config alarms` shows it.
    `custom`: alarms on other metrics, made with each fleet. `named`: existing alarms of your own that roll it
    back too. `notify`: the topic of the alarms on what is live, which are made with each release and roll
    nothing back: the one that bootstrap makes (`alerts`), or another one's ARN.
    """

    p99_latency_ms: PositiveFloat | None = None
    error_percent: Percent | None = None
    false_alarm_percent: Annotated[float, Field(gt=0, le=50)] = 5.0
    period_seconds: MinutePeriod
    evaluation_periods: PositiveInt
    datapoints_to_alarm: PositiveInt
    custom: tuple[CustomAlarm, ...] = ()
    named: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = ()
    notify: Literal["alerts"] | SnsTopic | None = None

    @model_validator(mode="after")
    def _so_many_datapoints_are_evaluated(self) -> Self:
        pairs = {"alarms": (self.datapoints_to_alarm, self.evaluation_periods)}
        pairs |= {each.name: self.datapoints_of(each) for each in self.custom}
        for name, (needed, of) in pairs.items():
            if needed > of:
                raise ValueError(
                    f"{name}: datapoints_to_alarm is {needed}; it must be at most evaluation_periods, {of}"
                )
        return self

    def datapoints_of(self, alarm: CustomAlarm) -> tuple[int, int]:
        """Return a custom alarm's datapoints that must breach, and those that are evaluated."""
        of = alarm.evaluation_periods or self.evaluation_periods
        default = self.datapoints_to_alarm if alarm.evaluation_periods is None else of
        return alarm.datapoints_to_alarm or default, of

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
