"""The ticker: publishes silence and utilisation, has alarms judged and fleets scaled."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from local_aws.clock import Clock
from local_aws.instances import Instance
from local_aws.measurements import Measurements, MetricSource
from local_aws.sagemaker.endpoint import Endpoint, Side
from local_aws.sagemaker.member import Member
from local_aws.sagemaker.rules import PUBLISH_SECONDS

TICK_SECONDS = 0.25

log = logging.getLogger(__name__)


class Ticker:
    """The loop that publishes the metrics still missing, then calls each of `ticks`, every TICK_SECONDS.

    So an alarm never judges a period before its silence is published. Utilisation is measured at the first tick
    of each period of `metrics_seconds` AWS seconds, or of a config's MetricsConfig, and has that tick's time.
    """

    def __init__(
        self,
        ticks: Iterable[Callable[[], None]],
        endpoints: Callable[[], Iterable[Endpoint]],
        measurements: Measurements,
        clock: Clock,
        metrics_seconds: float,
    ) -> None:
        self._ticks = tuple(ticks)
        self._endpoints = endpoints
        self._measurements = measurements
        self._clock = clock
        self._metrics_seconds = metrics_seconds
        self._last = self._numbers(clock.now())

    async def run(self) -> None:
        """Tick until cancelled. A tick that fails is logged and does not stop the others."""
        async with asyncio.TaskGroup() as asking:
            while True:
                for tick in (lambda: self.publish(asking), *self._ticks):
                    try:
                        tick()
                    except Exception:  # the clock goes on, whatever one reader of it does
                        log.exception("a tick failed")
                await asyncio.sleep(TICK_SECONDS)

    def publish(self, asking: asyncio.TaskGroup) -> None:
        """Publish silence, and begin to publish the utilisation of periods that have ended."""
        in_flight: dict[MetricSource, int] = {}
        for _, source, member in serving(self._endpoints(), traffic=True):
            busy = member.upstream.in_flight if member.upstream else 0
            in_flight[source] = max(in_flight.get(source, 0), busy)
        self._measurements.fill_silence(in_flight)
        now = self._clock.now()
        ended = self._ended(now)
        for side, source, member in serving(self._endpoints(), traffic=False):
            seconds = side.config.metrics.get("MetricPublishFrequencyInSeconds", self._metrics_seconds)
            if seconds in ended and member.instance is not None:
                asking.create_task(self._publish_usage(side, source, member.instance, now))

    def _ended(self, now: float) -> set[float]:
        """Return the period lengths, in AWS seconds, of which a period has ended since the last call."""
        last, self._last = self._last, self._numbers(now)
        return {seconds for seconds, number in self._last.items() if last[seconds] != number}

    def _numbers(self, now: float) -> dict[float, float]:
        lengths = (self._metrics_seconds, *PUBLISH_SECONDS)
        return {seconds: now // self._clock.real(seconds) for seconds in lengths}

    async def _publish_usage(self, side: Side, source: MetricSource, instance: Instance, at: float) -> None:
        try:
            stats = await instance.stats()
        except Exception:  # an instance may end while it is asked
            log.debug("no stats of instance %s", instance.id, exc_info=True)
            return
        self._measurements.publish_utilisation(source, stats, at=at)
        if side.config.metrics.get("EnableEnhancedMetrics"):
            one = replace(source, instance=instance.id)
            self._measurements.publish_utilisation(one, stats, at=at)


def serving(endpoints: Iterable[Endpoint], *, traffic: bool) -> Iterator[tuple[Side, MetricSource, Member]]:
    """Yield the healthy instances with what they serve; with `traffic`, only of sides that take some."""
    for endpoint in endpoints:
        for side in endpoint.sides:
            if traffic and side is endpoint.pending and endpoint.step is None:
                continue
            for name, deployed in side.variants.items():
                source = MetricSource(endpoint.name, name, side.config.name)
                for member in deployed.fleet.members:
                    if member.upstream is not None and member.instance is not None:
                        yield side, source, member
