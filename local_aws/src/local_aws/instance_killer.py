"""The faults that kill instances: `crash`, and `out-of-memory`, whose memory CloudWatch shows full at the end."""

import asyncio
from collections.abc import Callable, Iterable

from local_aws.clock import Clock
from local_aws.faults import Faults
from local_aws.measurements import Measurements
from local_aws.sagemaker.endpoint import Endpoint
from local_aws.ticker import serving


class InstanceKiller:
    """Killer of the instances in service that a fault selects, at each tick, by SIGKILL."""

    def __init__(
        self,
        faults: Faults,
        endpoints: Callable[[], Iterable[Endpoint]],
        measurements: Measurements,
        clock: Clock,
    ) -> None:
        self._faults, self._endpoints = faults, endpoints
        self._measurements, self._clock = measurements, clock
        self._killings: set[asyncio.Task[None]] = set()

    def tick(self) -> None:
        """Begin to kill the instances that a fault has hit since the last tick."""
        for _, source, member in serving(self._endpoints(), traffic=False):
            assert member.instance is not None, "it serves"
            kind = self._faults.kills(source.endpoint, source.config, member.instance.id)
            if kind is None:
                continue
            if kind == "out-of-memory":
                self._measurements.publish_used(source, "MemoryUtilization", 100.0, at=self._clock.now())
            killing = asyncio.create_task(member.instance.stop(0.0))
            self._killings.add(killing)
            killing.add_done_callback(self._killings.discard)
