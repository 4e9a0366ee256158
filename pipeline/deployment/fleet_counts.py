"""Count the requests and failures of both fleets, everybody's, by CloudWatch's metrics of their endpoint configs."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.deployment.judge.sequential_test import Block

ALL_ERRORS, CALLERS_ERRORS = "InvocationModelErrors", "Invocation4XXErrors"  # 0 or 1 for each request
PERIOD_SECONDS = 60


class ReadsMetrics(Protocol):
    """Metrics over time, as AwsClient reads them."""

    def metric(
        self,
        name: tuple[str, str],
        watched: dict[str, str],
        stat: str,
        period_seconds: int,
        between: tuple[float, float],
        /,
    ) -> list[tuple[float, float]]: ...


@dataclass(frozen=True)
class FleetCounts:
    """Reads the counts of two fleets by the names of their configs."""

    aws: ReadsMetrics
    endpoint: str
    variant: str
    candidate: str
    baseline: str

    def between(self, began: float, now: float) -> Block:
        """Return the counts between two times, epoch seconds; those of the last minutes may still be on their way.

        Failures are errors of the model, time-outs and broken connections, without the callers' own (4xx).
        """
        span = (began, now + PERIOD_SECONDS)
        ours, theirs = (self._counts(config, span) for config in (self.candidate, self.baseline))
        return Block(ours[0], ours[0] + theirs[0], ours[1], ours[1] + theirs[1])

    def _counts(self, config: str, span: tuple[float, float]) -> tuple[int, int]:
        requests = self._sum(config, ALL_ERRORS, "SampleCount", span)
        failures = self._sum(config, ALL_ERRORS, "Sum", span) - self._sum(config, CALLERS_ERRORS, "Sum", span)
        return requests, min(max(failures, 0), requests)

    def _sum(self, config: str, metric: str, stat: str, span: tuple[float, float]) -> int:
        watched = {
            "EndpointName": self.endpoint,
            "VariantName": self.variant,
            "EndpointConfigName": config,
        }
        found = self.aws.metric(("AWS/SageMaker", metric), watched, stat, PERIOD_SECONDS, span)
        return round(sum(value for _, value in found))


def increase(before: Block, now: Block) -> Block:
    """Return what came between two counts of the same bake; counts that were corrected downwards add nothing."""
    candidate = max(now.candidate - before.candidate, 0)
    baseline = max(now.requests - now.candidate - (before.requests - before.candidate), 0)
    ours = min(max(now.candidate_marked - before.candidate_marked, 0), candidate)
    theirs = now.marked - now.candidate_marked - (before.marked - before.candidate_marked)
    return Block(candidate, candidate + baseline, ours, ours + min(max(theirs, 0), baseline))
