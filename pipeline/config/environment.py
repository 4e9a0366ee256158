"""An environment file: its sections, the rules between them, and its loader."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline.config.alarms import Alarms
from pipeline.config.autoscaling import Autoscaling
from pipeline.config.endpoint import Endpoint
from pipeline.config.field_types import AwsName
from pipeline.config.place import AwsPlace
from pipeline.config.promotion import AfterPromotion, Promotion
from pipeline.config.slo import Limits, Load
from pipeline.config.strategy import Deployment, Strategy
from pipeline.config.training import Training
from pipeline.config.validation_errors import problems_of
from pipeline.config.verification import Verification
from pipeline.config.yaml_file import read_yaml
from pipeline.errors import ConfigError
from pipeline.model import Model

CONFIG_DIRECTORY = Path("config")


class Environment(Model):
    """Everything about one environment; its name is its file's name."""

    name: AwsName
    promotes_from: AwsName | None
    aws: AwsPlace
    weights: Annotated[str, Field(min_length=1)]
    golden: Annotated[str, Field(min_length=1)] | None = None  # a file; None: the set in the archive
    packages: Annotated[str, Field(min_length=1)] | None = (
        None  # a requirements file: more of them for the image
    )
    endpoint: Endpoint
    deployment: Deployment
    alarms: Alarms
    autoscaling: Autoscaling
    limits: Limits
    load: Load
    training: Training | None = None
    verification: Verification = Verification()
    promotion: Promotion = Promotion()
    after_promotion: AfterPromotion = AfterPromotion()

    @model_validator(mode="after")
    def _first_fleet_is_within_bounds(self) -> Self:
        least, most = self.autoscaling.min_instances, self.autoscaling.max_instances
        if not least <= self.endpoint.initial_instances <= most:
            raise ValueError("endpoint.initial_instances must lie within autoscaling's min and max")
        return self

    @model_validator(mode="after")
    def _smallest_fleet_can_be_parted(self) -> Self:
        sizes = {
            "autoscaling.min_instances": self.autoscaling.min_instances,
            "every min_instances of autoscaling.schedule": self.autoscaling.smallest_fleet,
            "after_promotion.instances": self.after_promotion.instances or self.autoscaling.min_instances,
        }
        for key, instances in sizes.items():
            if self.deployment.parts_the_fleet and instances < 2:
                raise ValueError(
                    f"a part of a {self.deployment.strategy} deployment is at most half of the fleet: "
                    f"{key} must be at least 2, or deployment.strategy all_at_once"
                )
        return self

    @model_validator(mode="after")
    def _alarms_are_no_looser_than_the_promise(self) -> Self:
        pairs = {
            "p99_latency_ms": (self.alarms.p99_latency_ms, "p99_ms", self.limits.p99_ms),
            "error_percent": (self.alarms.error_percent, "error_percent", self.limits.error_percent),
        }
        for key, (alarm, limit, promised) in pairs.items():
            if alarm is not None and alarm > promised:
                raise ValueError(
                    f"alarms.{key} {alarm:g} is looser than the promise, limits.{limit} {promised:g}: a release that "
                    f"breaks it would not be rolled back. Lower the alarm, or set it to null to take the limit"
                )
        return self

    @model_validator(mode="after")
    def _waits_end_before_the_timeout(self) -> Self:
        sizes = range(self.autoscaling.smallest_fleet, self.autoscaling.largest_fleet + 1)
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
    """Load and validate one environment. Raises ConfigError naming each wrong key and its file."""
    path = directory / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(
            f"There is no environment '{name}'.",
            fix=f"Use one of {list(environments(directory))} or add {path}.",
        )
    text = path.read_text()
    try:
        env = Environment.model_validate(read_yaml(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}", fix="Correct the line it names.") from error
    except ValidationError as error:
        problems = "\n".join(f"  {problem}" for problem in problems_of(error, Environment, text))
        raise ConfigError(
            f"{path} is not valid:\n{problems}", fix=f"Correct these keys in {path}."
        ) from error
    _require_source(env, path)
    if env.name != name:
        raise ConfigError(
            f"{path} says name: {env.name}.", fix=f"Call it {name}, or rename the file to {env.name}.yaml."
        )
    return env


def _require_source(env: Environment, path: Path) -> None:
    """Return when the environment that this one promotes from is another one that exists. Raises ConfigError."""
    source, others = env.promotes_from, [name for name in environments(path.parent) if name != path.stem]
    if source is None or source in others:
        return
    close = get_close_matches(source, others, n=1)
    meant = f"; did you mean {close[0]}?" if close else "."
    raise ConfigError(
        f"{path} says promotes_from: {source}, which is no other environment{meant}",
        fix=f"Use one of {others}, null for the first environment, or add {path.with_stem(source)}.",
    )


def with_strategy(env: Environment, strategy: Strategy) -> Environment:
    """Return `env` with another strategy, validated as a file is. Raises ConfigError."""
    asked = env.document()
    asked["deployment"] = {**asked["deployment"], "strategy": strategy}
    try:
        return Environment.model_validate(asked)
    except ValidationError as error:
        problems = "\n".join(f"  {problem}" for problem in problems_of(error, Environment))
        raise ConfigError(
            f"{env.name} cannot be deployed to by --strategy {strategy.replace('_', '-')}:\n{problems}",
            fix=f"Correct these keys of {env.name}, or take its own strategy, {env.deployment.strategy}.",
        ) from error
