"""One run of a step: the environment, AWS, the build folder and the clock that every step carries."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.aws import AwsClient, Call, Clock
from pipeline.config import Environment

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """Everything that a step needs besides its own arguments."""

    env: Environment
    aws: AwsClient
    build: Path  # the folder in which steps leave files

    @classmethod
    def for_environment(cls, env: Environment, build: Path) -> "Run":
        """Return a run in `env` that has made no call yet."""
        return cls(env, AwsClient(env.aws), build)

    def in_environment(self, env: Environment) -> "Run":
        """Return a run in another environment, by a client of its own; its writes are listed with this run's."""
        return replace(self, env=env, aws=AwsClient(env.aws, clock=self.clock, made=self.aws.made))

    @property
    def clock(self) -> Clock:
        """Return the clock by which this run waits."""
        return self.aws.clock

    def apply(self, calls: Iterable[Call]) -> None:
        """Log each planned call, then make it. Raises AwsRefused or AwsUnreachable."""
        for call in calls:
            log.info(call.says)
            self.aws.apply(call)
