"""The bounds of the fleet, and the policies and schedules that scale it."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.field_types import (
    Metric,
    MissingData,
    Namespace,
    Period,
    PositiveFloat,
    PositiveInt,
    ShortName,
    Statistic,
)
from pipeline.config.schedule import schedule_problem, timezone_problem
from pipeline.model import Model

Seconds = Annotated[int, Field(ge=0)]


class StepChange(Model):
    """One step: the change from this value of the metric on, until the next step's."""

    at: float
    change: int


class StepPolicy(Model):
    """Scaling in steps by an alarm on any metric of the endpoint, in that metric's own unit.

    The first of `changes` is at the alarm's threshold; each further one lies beyond it. `adjustment`: the unit
    of a change: instances, percent of the fleet, or the fleet's exact size.
    """

    name: ShortName
    metric: Metric
    namespace: Namespace = "AWS/SageMaker"
    statistic: Statistic
    direction: Literal["above", "below"]
    adjustment: Literal["instances", "percent", "exact"]
    changes: Annotated[tuple[StepChange, ...], Field(min_length=1, max_length=20)]
    minimum_change: PositiveInt | None = None  # instances, of a change by percent
    period_seconds: Period = 60
    evaluation_periods: PositiveInt = 1
    missing_data: MissingData = "not_breaching"
    cooldown_seconds: Seconds = 300

    @model_validator(mode="after")
    def _each_step_goes_further(self) -> Self:
        sign = 1 if self.direction == "above" else -1
        if any(sign * (after.at - before.at) <= 0 for before, after in pairwise(self.changes)):
            raise ValueError(f"{self.name}: each `at` must lie {self.direction} the one before it")
        return self

    @model_validator(mode="after")
    def _each_step_acts(self) -> Self:
        if self.adjustment == "exact":
            if any(each.change < 1 for each in self.changes):
                raise ValueError(f"{self.name}: a fleet of exact size has at least one instance")
        elif any(each.change == 0 for each in self.changes):
            raise ValueError(f"{self.name}: a change of 0 changes nothing")
        if self.minimum_change is not None and self.adjustment != "percent":
            raise ValueError(f"{self.name}: minimum_change belongs to adjustment: percent")
        return self


class ScheduledBounds(Model):
    """Other bounds from a time on: at(yyyy-mm-ddThh:mm:ss), rate(n unit) or cron(six fields)."""

    name: ShortName
    schedule: str
    timezone: str = "UTC"
    min_instances: PositiveInt | None = None
    max_instances: PositiveInt | None = None

    @field_validator("schedule")
    @classmethod
    def _schedule_is_one_of_aws(cls, schedule: str) -> str:
        if problem := schedule_problem(schedule):
            raise ValueError(problem)
        return schedule

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        if problem := timezone_problem(timezone):
            raise ValueError(problem)
        return timezone

    @model_validator(mode="after")
    def _sets_bounds(self) -> Self:
        if self.min_instances is None and self.max_instances is None:
            raise ValueError(f"{self.name}: give min_instances, max_instances or both")
        return self


class Autoscaling(Model):
    """Bounds, and the policies that act within them; of several policies the largest fleet wins.

    `target: measured` follows the capacity that `verify` measures; a number is invocations per instance
    and minute, AWS's own unit; null leaves this policy out. `concurrency_target` is concurrent requests
    per instance, AWS's high-resolution metric: evaluated every 10 s instead of every 60 s; `measured`
    is the concurrency that `verify` measured at capacity × safety_factor.
    """

    min_instances: PositiveInt
    max_instances: PositiveInt
    target: Literal["measured"] | PositiveFloat | None
    safety_factor: Annotated[float, Field(gt=0, le=1)]
    scale_out_cooldown_seconds: Seconds
    scale_in_cooldown_seconds: Seconds
    concurrency_target: Literal["measured"] | PositiveFloat | None = None
    steps: tuple[StepPolicy, ...] = ()
    schedule: tuple[ScheduledBounds, ...] = ()

    @property
    def smallest_fleet(self) -> int:
        """Return the fewest instances that the bounds ever allow."""
        return min(
            [self.min_instances, *(each.min_instances or self.min_instances for each in self.schedule)]
        )

    @property
    def largest_fleet(self) -> int:
        """Return the most instances that the bounds ever allow."""
        return max(
            [self.max_instances, *(each.max_instances or self.max_instances for each in self.schedule)]
        )

    @property
    def has_policy(self) -> bool:
        """Say whether a policy, not only a schedule, changes the fleet."""
        return self.target is not None or self.concurrency_target is not None or bool(self.steps)

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.max_instances < self.min_instances:
            raise ValueError("max_instances must be at least min_instances")
        for each in self.schedule:
            least, most = each.min_instances or self.min_instances, each.max_instances or self.max_instances
            if most < least:
                raise ValueError(f"schedule {each.name}: {least} to {most} instances is an empty range")
        return self

    @model_validator(mode="after")
    def _names_are_used_once(self) -> Self:
        for section in ("steps", "schedule"):
            names = [each.name for each in getattr(self, section)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{section}: {twice} is there twice")
        return self

    @model_validator(mode="after")
    def _policies_can_act(self) -> Self:
        if self.has_policy and self.smallest_fleet == self.largest_fleet:
            raise ValueError(
                f"with {self.min_instances} to {self.max_instances} instances no policy can act: widen the "
                "range, or leave the policies out (target: null)"
            )
        return self
