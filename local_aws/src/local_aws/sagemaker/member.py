"""One instance of a fleet, from its launch to its stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from local_aws.clock import Clock
from local_aws.faults import NO_CAPACITY, Faults
from local_aws.instances import Instance, InstanceSpec, LaunchError, Line, ModelDataError
from local_aws.routing import Upstream
from local_aws.settings import Settings

START_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


class InstanceFailed(Exception):
    """An instance did not come; the text is a FailureReason."""


class Launcher(Protocol):
    """Where instances come from."""

    async def launch(self, spec: InstanceSpec) -> Instance:
        """Start one instance. Raises LaunchError."""
        ...


@dataclass(frozen=True)
class Blueprint:
    """What every instance of a fleet is made from."""

    spec: InstanceSpec
    """Without model data: each start fetches it, as AWS does."""
    model_data: str | Mapping[str, Any] | None
    """ModelDataUrl or ModelDataSource."""
    startup_timeout_seconds: float


@dataclass(frozen=True)
class Surroundings:
    """What every fleet needs of its world."""

    launcher: Launcher
    settings: Settings
    clock: Clock
    unpack: Callable[[str | Mapping[str, Any]], Path]
    """Brings model data to this machine; blocks. Raises ModelDataError."""
    keep_logs: Callable[[InstanceSpec, str, Sequence[Line]], Awaitable[None]]
    """Called with spec, instance id and new lines when an instance is healthy, and when it has stopped."""
    faults: Faults = field(default_factory=Faults)
    slowest_start: dict[str, float] = field(default_factory=dict)
    """By image: the most real seconds that an instance took from its launch to its first healthy answer."""


class Member:
    """Starts an instance, waits for its health, watches it, and takes it out without losing a request."""

    def __init__(self, blueprint: Blueprint, world: Surroundings) -> None:
        self._blueprint = blueprint
        self.upstream: Upstream | None = None
        """Set while the instance is healthy: it may take traffic."""
        self.instance: Instance | None = None
        self.overrun_seconds = 0.0
        """AWS seconds by which the real start took longer than the provisioning delay that was asked for."""
        self._world = world
        self._launch: asyncio.Task[Instance] | None = None
        self._kept_until = 0.0  # epoch s of the last line of its log that was kept

    async def start(self) -> None:
        """Launch the instance and wait until it is healthy. Raises InstanceFailed.

        The provisioning delay, in AWS seconds, includes the real start, which comes at its end, as far as starts
        before tell how long that takes.
        """
        began = monotonic()
        if self._suffers("no-capacity", ""):
            raise InstanceFailed(NO_CAPACITY)
        await self._has_a_machine()
        spec, launched = await self._with_model_data(), monotonic()
        self._launch = asyncio.create_task(self._world.launcher.launch(spec))
        try:
            # Shielded: a launch that is cancelled half-way would leave an instance that nobody stops.
            self.instance = await asyncio.shield(self._launch)
        except LaunchError as error:
            raise InstanceFailed(f"The instance could not be started. {error}") from error
        if not await self._becomes_healthy(self.instance, launched + self._blueprint.startup_timeout_seconds):
            raise InstanceFailed(
                f"The primary container for production variant {spec.variant} did not pass the ping "
                "health check. Please check CloudWatch logs for this endpoint."
            )
        slowest = self._world.slowest_start
        slowest[spec.image] = max(slowest.get(spec.image, 0.0), monotonic() - launched)
        await self._keep_logs(self.instance)
        await self._is_provisioned(self.instance, began)
        await self.instance.limit()
        self.upstream = Upstream(self.instance.id, self.instance.url)

    async def _has_a_machine(self) -> None:
        """Wait for the part of the provisioning delay that the start will not need, be it twice the slowest so far."""
        start = self._world.slowest_start.get(self._blueprint.spec.image)
        if start is not None:
            delay = self._world.clock.real(self._world.settings.provision_seconds)
            await asyncio.sleep(max(0.0, delay - 2 * start))

    async def _is_provisioned(self, instance: Instance, began: float) -> None:
        """Wait for what is left of the provisioning delay; say so when the start has taken longer."""
        delay = self._world.settings.provision_seconds
        left = began + self._world.clock.real(delay) - monotonic()
        if delay and left < 0:
            self.overrun_seconds = -left * self._world.clock.scale
            log.warning(
                "instance %s came %.0f AWS seconds later than LOCAL_AWS_PROVISION_SECONDS=%g: the time scale is too "
                "large for this machine",
                instance.id,
                self.overrun_seconds,
                delay,
            )
        await asyncio.sleep(max(0.0, left))

    async def until_unhealthy(self) -> None:
        """Return when the instance has died or has failed too many pings in a row."""
        assert self.instance is not None, "start() first"
        failures = 0
        while failures < self._world.settings.unhealthy_after:
            await asyncio.sleep(self._world.settings.ping_interval_seconds)
            if await self._ping(self.instance):
                failures = 0
            elif await self.instance.alive():
                failures += 1
            else:
                return

    async def leave(self) -> None:
        """Drain, keep the logs, stop. Call it once no route names the instance; may come during the start."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            await upstream.drain(self._world.settings.drain_seconds)
        if self._launch is None:
            return
        try:
            instance = await self._launch
        except LaunchError:
            return  # there is nothing to stop; start() has told it
        await instance.stop(self._world.settings.stop_grace_seconds)
        await self._keep_logs(instance)

    async def _keep_logs(self, instance: Instance) -> None:
        """Keep what the instance has written since the last time."""
        new = [line for line in await instance.lines() if line.at > self._kept_until]
        self._kept_until = new[-1].at if new else self._kept_until
        await self._world.keep_logs(self._blueprint.spec, instance.id, new)

    async def _ping(self, instance: Instance) -> bool:
        return not self._suffers("unhealthy", instance.id) and await instance.ping()

    def _suffers(self, kind: str, instance_id: str) -> bool:
        """Say whether a fault of this kind hits the instance; a hanging one answers no ping either."""
        spec, kinds = self._blueprint.spec, (kind, "hang") if instance_id else (kind,)
        return any(self._world.faults.of_instance(spec.endpoint, spec.config, instance_id, *kinds))

    async def _with_model_data(self) -> InstanceSpec:
        """Complete the spec with the unpacked model. Raises InstanceFailed."""
        if self._blueprint.model_data is None:
            return self._blueprint.spec
        try:
            directory = await asyncio.to_thread(self._world.unpack, self._blueprint.model_data)
        except ModelDataError as error:
            raise InstanceFailed(str(error)) from error
        return replace(self._blueprint.spec, model_dir=directory)

    async def _becomes_healthy(self, instance: Instance, deadline: float) -> bool:
        """Ping until the first 200; False at the deadline, or at once when the container has exited."""
        while monotonic() < deadline:
            if await self._ping(instance):
                return True
            if not await instance.alive():
                return False
            await asyncio.sleep(START_POLL_SECONDS)
        return False
