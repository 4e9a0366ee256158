"""Metrics of traffic and instances, for CloudWatch and `status`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from local_aws.cloudwatch.store import MetricStore, Series, is_period
from local_aws.instances import Stats
from local_aws.router import InvocationOutcome

TRAFFIC = {
    "Invocations": "None",
    "InvocationsPerInstance": "None",
    "Invocation4XXErrors": "None",
    "Invocation5XXErrors": "None",
    "InvocationModelErrors": "None",
    "ModelLatency": "Microseconds",
    "OverheadLatency": "Microseconds",
    "ConcurrentRequestsPerModel": "None",
}
UTILISATION = dict.fromkeys(("CPUUtilization", "MemoryUtilization", "DiskUtilization"), "Percent")
HIGH_RESOLUTION = {"ConcurrentRequestsPerModel", *UTILISATION}
"""Metrics that AWS publishes more often than by the minute: concurrency, and utilisation as MetricsConfig asks."""
CONCURRENCY_SECONDS = 10
MOST_SILENT_PERIODS = 60
"""Most silent periods published at once, for example after the machine has slept."""
MICROSECONDS = 1e6


@dataclass(frozen=True)
class MetricSource:
    """The source of a metric: one variant on one endpoint config, or one instance of it."""

    endpoint: str
    variant: str
    config: str
    instance: str | None = None


class Measurements:
    """The publisher of one datum per request and metric; counts that AWS sums per minute are multiplied by the scale.

    `metrics_seconds` (AWS) is the period in which silence is published as zeros.
    """

    def __init__(self, store: MetricStore, metrics_seconds: float = 60.0) -> None:
        if not is_period(int(metrics_seconds)):
            raise ValueError("LOCAL_AWS_METRICS_SECONDS must be 5, 10, 20, 30 or a multiple of 60")
        self._store = store
        self._series: dict[MetricSource, dict[str, tuple[Series, ...]]] = {}
        self._in_flight: Mapping[MetricSource, int] = {}
        self._periods = {
            "Invocations": int(metrics_seconds),
            "InvocationsPerInstance": int(metrics_seconds),
            "ConcurrentRequestsPerModel": CONCURRENCY_SECONDS,
        }
        now = store.clock.now()
        self._open = {name: store.period_number(period, now) for name, period in self._periods.items()}
        self.raw: Counter[tuple[MetricSource, int]] = Counter()
        """Number of requests by source and status of the container; never scaled."""

    def record(self, invocation: InvocationOutcome) -> None:
        """Publish the metrics of one request. A time-out or broken connection counts as 5XX."""
        source = MetricSource(invocation.endpoint, invocation.variant, invocation.config)
        status, scale = invocation.model_status, self._store.clock.scale
        self.raw[source, status] += 1
        model = invocation.model_seconds * MICROSECONDS
        values = (
            scale,
            scale / max(invocation.instances, 1),
            float(400 <= status < 500),
            float(status >= 500 or status == 0),
            float(not 200 <= status < 300),
            model,
            max(invocation.total_seconds * MICROSECONDS - model, 0.0),
            float(invocation.in_flight),
        )
        series = self._series_of(source)
        for name, value in zip(TRAFFIC, values, strict=True):
            for one in series[name]:
                one.put(value)

    def fill_silence(self, in_flight: Mapping[MetricSource, int]) -> None:
        """Publish each period that has ended without a request, once per variant, so that idle fleets scale in.

        `in_flight` has the requests on the busiest instance of each source; those that were there at the last call
        too are the concurrency of the silence between. No zeros of errors: they would dilute their ratio.
        """
        now = self._store.clock.now()
        for name, period in self._periods.items():
            ended = self._store.period_number(period, now)
            for number in range(max(self._open[name], ended - MOST_SILENT_PERIODS), ended):
                middle = self._store.period_start(period, number) + self._store.clock.real(period / 2)
                for source, requests in in_flight.items():
                    waiting = min(requests, self._in_flight.get(source, 0))
                    for one in self._series_of(source)[name]:
                        if not one.buckets(period, number, number + 1):
                            one.put(
                                float(waiting) if name == "ConcurrentRequestsPerModel" else 0.0, at=middle
                            )
            self._open[name] = ended
        self._in_flight = in_flight

    def publish_utilisation(self, source: MetricSource, stats: Stats, *, at: float) -> None:
        """Publish the utilisation of one instance at epoch seconds `at`."""
        used = (stats.cpu_percent, stats.memory_percent, stats.disk_percent)
        for name, percent in zip(UTILISATION, used, strict=True):
            self.publish_used(source, name, percent, at=at)

    def publish_used(self, source: MetricSource, name: str, percent: float, *, at: float) -> None:
        """Publish one of UTILISATION for one instance."""
        for one in self._series_of(source)[name]:
            one.put(percent, at=at)

    def _series_of(self, source: MetricSource) -> dict[str, tuple[Series, ...]]:
        """Return the series of every metric: AWS publishes by variant, and again by endpoint config.

        Enhanced metrics are the utilisation of one instance.
        """
        if source not in self._series:
            plain = {"EndpointName": source.endpoint, "VariantName": source.variant}
            further = (
                ({}, {"EndpointConfigName": source.config})
                if source.instance is None
                else ({"InstanceId": source.instance},)
            )
            units = {"/aws/sagemaker/Endpoints": UTILISATION}
            if source.instance is None:
                units["AWS/SageMaker"] = TRAFFIC
            self._series[source] = {
                name: tuple(self._store.series(namespace, name, plain | more, unit=unit) for more in further)
                for namespace, named in units.items()
                for name, unit in named.items()
            }
            for name in HIGH_RESOLUTION & self._series[source].keys():
                for one in self._series[source][name]:
                    one.is_high_resolution = True
        return self._series[source]
