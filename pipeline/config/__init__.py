"""One environment = one YAML file, complete and checked; nothing is inherited from another file."""

from pipeline.config.alarms import Alarms, CustomAlarm
from pipeline.config.autoscaling import Autoscaling, ScheduledBounds, StepPolicy
from pipeline.config.endpoint import DataCapture, Endpoint, Vpc
from pipeline.config.environment import (
    CONFIG_DIRECTORY,
    Environment,
    environments,
    load_environment,
    with_strategy,
)
from pipeline.config.field_types import BASELINE_SUFFIX, CAPACITY_SUFFIX, LONGEST_ENDPOINT, LONGEST_NAME
from pipeline.config.place import AwsPlace
from pipeline.config.promotion import AfterPromotion, Promotion
from pipeline.config.slo import Limits, Load, LoadProfile
from pipeline.config.strategy import Strategy, strategy_of
from pipeline.config.training import Training
from pipeline.config.verification import AnswerTolerance, Quality, Verification

__all__ = [
    "BASELINE_SUFFIX",
    "CAPACITY_SUFFIX",
    "CONFIG_DIRECTORY",
    "LONGEST_ENDPOINT",
    "LONGEST_NAME",
    "AfterPromotion",
    "Alarms",
    "AnswerTolerance",
    "Autoscaling",
    "AwsPlace",
    "CustomAlarm",
    "DataCapture",
    "Endpoint",
    "Environment",
    "Limits",
    "Load",
    "LoadProfile",
    "Promotion",
    "Quality",
    "ScheduledBounds",
    "StepPolicy",
    "Strategy",
    "Training",
    "Verification",
    "Vpc",
    "environments",
    "load_environment",
    "strategy_of",
    "with_strategy",
]
