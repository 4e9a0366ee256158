"""One environment = one YAML file, complete and checked; nothing is inherited from another file."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from pipeline.errors import ConfigError
from pipeline.model import Model
from pipeline.spelling import problems_of
from pipeline.strategy import Deployment

CONFIG_DIRECTORY = Path("config")

# SageMaker allows 63 characters for an endpoint config's name. Ours is
# <endpoint>-<release id, 21>-<hash 8>, and the measuring endpoint is called <endpoint>-capacity.
LONGEST_NAME = 63
CAPACITY_SUFFIX = "-capacity"
LONGEST_ENDPOINT = LONGEST_NAME - len("-") - 21 - len("-") - 8 - len(CAPACITY_SUFFIX)

Percent = Annotated[float, Field(ge=0, le=100)]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
AwsName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$")]


class AwsPlace(Model):
    """Which account, and the names of the long-lived things in it (`bootstrap` makes them)."""

    account_id: Annotated[str, Field(pattern=r"^\d{12}$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    execution_role: Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,64}$")]
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    repository: Annotated[str, Field(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")]
    model_package_group: Annotated[AwsName, Field(max_length=63)]

    @property
    def execution_role_arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:role/{self.execution_role}"


class Endpoint(Model):
    """What serves."""

    name: AwsName
    variant: Annotated[AwsName, Field(max_length=63)]
    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
    initial_instances: PositiveInt
    routing: Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM"]
    startup_timeout_seconds: Annotated[int, Field(ge=60, le=3600)]
    environment: dict[str, str]

    @field_validator("name")
    @classmethod
    def _names_derived_from_it_fit(cls, name: str) -> str:
        if len(name) > LONGEST_ENDPOINT:
            raise ValueError(
                f"'{name}' has {len(name)} characters; at most {LONGEST_ENDPOINT} leave room for "
                f"<name>{CAPACITY_SUFFIX}-<release id>-<hash> within SageMaker's {LONGEST_NAME}"
            )
        return name

    @field_validator("environment")
    @classmethod
    def _release_id_is_ours(cls, environment: dict[str, str]) -> dict[str, str]:
        if "RELEASE_ID" in environment:
            raise ValueError("RELEASE_ID is set by the pipeline; remove it")
        return environment


class Alarms(Model):
    """What rolls a deployment back; CloudWatch periods are AWS seconds.

    `named`: alarms of your own that roll it back too; they must be there before.
    """

    p99_latency_ms: PositiveFloat
    error_percent: Percent
    period_seconds: Literal[10, 30, 60, 120, 180, 300]
    evaluation_periods: PositiveInt
    named: Annotated[tuple[str, ...], Field(max_length=7)] = ()  # SageMaker takes ten, three are ours


class Autoscaling(Model):
    """Bounds and target. `target: measured` follows the capacity that `verify` measures;
    a number is invocations per instance and minute, AWS's own unit."""

    min_instances: PositiveInt
    max_instances: PositiveInt
    target: Literal["measured"] | PositiveFloat
    safety_factor: Annotated[float, Field(gt=0, le=1)]
    scale_out_cooldown_seconds: Annotated[int, Field(ge=0)]
    scale_in_cooldown_seconds: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.max_instances < self.min_instances:
            raise ValueError("max_instances must be at least min_instances")
        return self


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


class Environment(Model):
    """Everything about one environment; its name is its file's name."""

    name: AwsName
    promotes_from: AwsName | None
    aws: AwsPlace
    weights: Annotated[str, Field(min_length=1)]
    endpoint: Endpoint
    deployment: Deployment
    alarms: Alarms
    autoscaling: Autoscaling
    limits: Limits
    load: Load

    @model_validator(mode="after")
    def _first_fleet_is_within_bounds(self) -> Self:
        least, most = self.autoscaling.min_instances, self.autoscaling.max_instances
        if not least <= self.endpoint.initial_instances <= most:
            raise ValueError("endpoint.initial_instances must lie within autoscaling's min and max")
        return self

    @model_validator(mode="after")
    def _smallest_fleet_can_be_parted(self) -> Self:
        if self.deployment.parts_the_fleet and self.autoscaling.min_instances < 2:
            raise ValueError(
                f"a part of a {self.deployment.strategy} deployment is at most half of the fleet: "
                "autoscaling.min_instances must be at least 2, or deployment.strategy all_at_once"
            )
        return self

    @model_validator(mode="after")
    def _waits_end_before_the_timeout(self) -> Self:
        sizes = range(self.autoscaling.min_instances, self.autoscaling.max_instances + 1)
        waits, size = max((self.deployment.waits_seconds(size), size) for size in sizes)
        if waits >= self.deployment.maximum_execution_seconds:
            raise ValueError(
                f"the waits of a {self.deployment.strategy} deployment of {size} instances, {waits} s by "
                "bake_seconds and termination_wait_seconds, must be less than "
                f"deployment.maximum_execution_seconds = {self.deployment.maximum_execution_seconds}"
            )
        return self


def environments(directory: Path = CONFIG_DIRECTORY) -> tuple[str, ...]:
    """List the names of all environments in `directory`, sorted."""
    return tuple(sorted(path.stem for path in directory.glob("*.yaml")))


def load_environment(name: str, directory: Path = CONFIG_DIRECTORY) -> Environment:
    """Read and check one environment. Raises ConfigError naming each wrong key and its file."""
    path = directory / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(
            f"There is no environment '{name}'.",
            fix=f"Use one of {list(environments(directory))} or add {path}.",
        )
    try:
        env = Environment.model_validate(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}", fix="Correct the line it names.") from error
    except ValidationError as error:
        problems = "\n".join(f"  {problem}" for problem in problems_of(error, Environment))
        raise ConfigError(f"{path} is not valid:\n{problems}", fix="Correct these keys.") from error
    if env.name != name:
        raise ConfigError(
            f"{path} says name: {env.name}.", fix=f"Call it {name}, or rename the file to {env.name}.yaml."
        )
    return env
