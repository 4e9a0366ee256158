"""What happens by the clock alone: alarms judged, fleets scaled, utilisation and zeros published."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator

from local_aws.clock import Clock
from local_aws.instances import Instance
from local_aws.measurements import Measurements, Served
from local_aws.sagemaker.endpoint import Endpoint

TICK_SECONDS = 0.25

log = logging.getLogger(__name__)


class Ticker:
    """Calls each of `ticks` every TICK_SECONDS, and publishes metrics every `metrics_seconds` AWS seconds."""

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

    async def run(self) -> None:
        """Tick until cancelled. A tick that fails is logged and does not stop the others."""
        await asyncio.gather(self._tick(), self._publish())

    async def _tick(self) -> None:
        while True:
            for tick in self._ticks:
                try:
                    tick()
                except Exception:  # the clock goes on, whatever one reader of it does
                    log.exception("a tick failed")
            await asyncio.sleep(TICK_SECONDS)

    async def _publish(self) -> None:
        while True:
            await self._clock.sleep(self._metrics_seconds)
            self._measurements.publish_zeros(served for served, _ in self._instances(traffic=True))
            running = list(self._instances(traffic=False))
            await asyncio.gather(*(self._publish_usage(served, instance) for served, instance in running))

    async def _publish_usage(self, served: Served, instance: Instance) -> None:
        try:
            stats = await instance.stats()
        except Exception:  # an instance may end while it is asked
            log.debug("no stats of instance %s", instance.id, exc_info=True)
            return
        self._measurements.publish_utilisation(served, stats.cpu_percent, stats.memory_percent)

    def _instances(self, *, traffic: bool) -> Iterator[tuple[Served, Instance]]:
        """Yield the healthy instances with what they serve; with `traffic`, only of sides that take some."""
        for endpoint in self._endpoints():
            for side in endpoint.sides:
                if traffic and side is endpoint.pending and endpoint.step is None:
                    continue
                for name, deployed in side.variants.items():
                    served = Served(endpoint.name, name, side.config.name)
                    for member in deployed.fleet.members:
                        if member.upstream is not None and member.instance is not None:
                            yield served, member.instance
