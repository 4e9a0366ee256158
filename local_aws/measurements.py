"""What CloudWatch and `status` are told of the traffic and of the instances."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from local_aws.cloudwatch.store import MetricStore, Series
from local_aws.router import Invocation

TRAFFIC = "AWS/SageMaker"
SUMS = ("Invocations", "InvocationsPerInstance")
UTILISATION = "/aws/sagemaker/Endpoints"
MICROSECONDS = 1e6


@dataclass(frozen=True)
class Served:
    """One variant on one endpoint config that takes traffic."""

    endpoint: str
    variant: str
    config: str

    def dimensions(self) -> tuple[dict[str, str], dict[str, str]]:
        """AWS publishes by variant, and again by the endpoint config that served."""
        plain = {"EndpointName": self.endpoint, "VariantName": self.variant}
        return plain, {**plain, "EndpointConfigName": self.config}


class Measurements:
    """Publishes one datum per request and metric; counts that AWS sums per minute are multiplied by the scale."""

    def __init__(self, store: MetricStore, scale: float) -> None:
        self._store = store
        self._scale = scale
        self._series: dict[tuple[Served, str], tuple[Series, ...]] = {}
        self._busy: set[Served] = set()
        self.raw: Counter[tuple[Served, int]] = Counter()
        """Requests by what served them and by the container's status; never scaled."""

    def record(self, invocation: Invocation) -> None:
        """Publish the metrics of one request."""
        served = Served(invocation.endpoint, invocation.variant, invocation.config)
        self._busy.add(served)
        self.raw[served, invocation.model_status] += 1
        for name, value, unit in _metrics(invocation, self._scale):
            self._put(served, TRAFFIC, name, value, unit)

    def publish_zeros(self, serving: Iterable[Served]) -> None:
        """Publish zeros for what had no request since the last call, so that idle fleets scale in.

        Only of what is summed: a zero among the errors would dilute the ratio that their average is.
        """
        for served in serving:
            if served not in self._busy:
                for name in SUMS:
                    self._put(served, TRAFFIC, name, 0.0, "None")
        self._busy.clear()

    def publish_utilisation(self, served: Served, cpu_percent: float, memory_percent: float) -> None:
        """Publish what one instance uses; CPU is 0…100 for each of its vCPUs."""
        self._put(served, UTILISATION, "CPUUtilization", cpu_percent, "Percent")
        self._put(served, UTILISATION, "MemoryUtilization", memory_percent, "Percent")

    def _put(self, served: Served, namespace: str, name: str, value: float, unit: str) -> None:
        key = (served, name)
        if key not in self._series:
            self._series[key] = tuple(
                self._store.series(namespace, name, dimensions, unit=unit)
                for dimensions in served.dimensions()
            )
        for series in self._series[key]:
            series.put(value)


def _metrics(invocation: Invocation, scale: float) -> Iterable[tuple[str, float, str]]:
    """List name, value and unit of a request's metrics. A time-out or broken connection counts as 5XX."""
    status = invocation.model_status
    model = invocation.model_seconds * MICROSECONDS
    yield "Invocations", scale, "None"
    yield "InvocationsPerInstance", scale / max(invocation.instances, 1), "None"
    yield "Invocation4XXErrors", float(400 <= status < 500), "None"
    yield "Invocation5XXErrors", float(status >= 500 or status == 0), "None"
    yield "InvocationModelErrors", float(not 200 <= status < 300), "None"
    yield "ModelLatency", model, "Microseconds"
    yield "OverheadLatency", max(invocation.total_seconds * MICROSECONDS - model, 0.0), "Microseconds"
    yield "ConcurrentRequestsPerModel", float(invocation.in_flight), "None"
