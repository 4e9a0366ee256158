"""A member of a fleet: one instance, from its launch to its stop."""

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
from local_aws.moto_clients import endpoint_log
from local_aws.protocols import EveryRight, RoleRights
from local_aws.routing import Upstream
from local_aws.sagemaker.role_rights import keeps_logs, refused_image, refused_model_data
from local_aws.settings import Settings

START_POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


class InstanceFailed(Exception):
    """The instance failed to start; the text is a FailureReason."""


class Launcher(Protocol):
    """A launcher of instances."""

    async def launch(self, spec: InstanceSpec) -> Instance:
        """Start one instance. Raises LaunchError."""
        ...


@dataclass(frozen=True)
class LaunchTemplate:
    """The launch parameters of every instance of a fleet."""

    spec: InstanceSpec
    """Instance spec without model data: each start fetches it, as AWS does."""
    model_data: str | Mapping[str, Any] | None
    """ModelDataUrl or ModelDataSource."""
    startup_timeout_seconds: float
    role: str | None = None
    """ExecutionRoleArn of the model."""


@dataclass(frozen=True)
class FleetContext:
    """The services that all fleets share."""

    launcher: Launcher
    settings: Settings
    clock: Clock
    unpack: Callable[[str | Mapping[str, Any]], Path]
    """Download and unpack model data; blocks. Raises ModelDataError."""
    keep_logs: Callable[[InstanceSpec, str, Sequence[Line]], Awaitable[None]]
    """Called with spec, instance id and new lines when an instance is healthy, and when it has stopped."""
    faults: Faults = field(default_factory=Faults)
    rights: RoleRights = field(default_factory=EveryRight)
    slowest_start: dict[str, float] = field(default_factory=dict)
    """Slowest start by image: real seconds from the launch to the first healthy answer."""


class Member:
    """One instance of a fleet: started, checked while it serves, stopped without losing a request."""

    def __init__(self, template: LaunchTemplate, context: FleetContext) -> None:
        self._template = template
        self.upstream: Upstream | None = None
        """Set while the instance is healthy: it may take traffic."""
        self.instance: Instance | None = None
        self.overrun_seconds = 0.0
        """AWS seconds by which the real start took longer than the provisioning delay that was asked for."""
        self._context = context
        self._launch: asyncio.Task[Instance] | None = None
        self._kept_until = 0.0  # epoch s of the last line of its log that was kept

    async def start(self) -> None:
        """Launch the instance and wait until it is healthy. Raises InstanceFailed.

        The provisioning delay, in AWS seconds, includes the real start. Once earlier starts have shown how long
        that takes, the real start is put at the end of the delay.
        """
        began = monotonic()
        if self._is_hit("no-capacity", ""):
            raise InstanceFailed(NO_CAPACITY)
        self._require_rights()
        await self._wait_for_machine()
        spec, launched = await self._with_model_data(), monotonic()
        self._launch = asyncio.create_task(self._context.launcher.launch(spec))
        try:
            # Shielded: a launch that is cancelled half-way would leave an instance that nobody stops.
            self.instance = await asyncio.shield(self._launch)
        except LaunchError as error:
            raise InstanceFailed(f"The instance could not be started. {error}") from error
        if not await self._becomes_healthy(self.instance, launched + self._template.startup_timeout_seconds):
            raise InstanceFailed(
                f"The primary container for production variant {spec.variant} did not pass the ping "
                "health check. Please check CloudWatch logs for this endpoint."
            )
        slowest = self._context.slowest_start
        slowest[spec.image] = max(slowest.get(spec.image, 0.0), monotonic() - launched)
        await self._keep_logs(self.instance)
        await self._wait_for_provisioning(self.instance, began)
        await self.instance.limit()
        self.upstream = Upstream(self.instance.id, self.instance.url)

    def _require_rights(self) -> None:
        """Return when the execution role may pull the image and read the model data. Raises InstanceFailed."""
        template, rights = self._template, self._context.rights
        refused = refused_image(rights, template.role, template.spec.image) or refused_model_data(
            rights, template.role, template.model_data
        )
        if refused:
            raise InstanceFailed(refused)

    async def _wait_for_machine(self) -> None:
        """Wait for the part of the provisioning delay that twice the slowest start would leave."""
        start = self._context.slowest_start.get(self._template.spec.image)
        if start is not None:
            delay = self._context.clock.real(self._context.settings.provision_seconds)
            await asyncio.sleep(max(0.0, delay - 2 * start))

    async def _wait_for_provisioning(self, instance: Instance, began: float) -> None:
        """Wait for the rest of the provisioning delay; log a warning when the start took longer."""
        delay = self._context.settings.provision_seconds
        left = began + self._context.clock.real(delay) - monotonic()
        if delay and left < 0:
            self.overrun_seconds = -left * self._context.clock.scale
            log.warning(
                "instance %s started %.0f AWS seconds later than LOCAL_AWS_PROVISION_SECONDS=%g allows; "
                "lower LOCAL_AWS_TIME_SCALE for this machine",
                instance.id,
                self.overrun_seconds,
                delay,
            )
        await asyncio.sleep(max(0.0, left))

    async def until_unhealthy(self) -> None:
        """Return when the instance has died or has failed too many pings in a row."""
        assert self.instance is not None, "start() first"
        failures = 0
        while failures < self._context.settings.unhealthy_after:
            await asyncio.sleep(self._context.settings.ping_interval_seconds)
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
            await upstream.drain(self._context.settings.drain_seconds)
        if self._launch is None:
            return
        try:
            instance = await self._launch
        except LaunchError:
            return  # start() has raised it; there is nothing to stop
        await instance.stop(self._context.settings.stop_grace_seconds)
        await self._keep_logs(instance)

    async def _keep_logs(self, instance: Instance) -> None:
        """Store the lines that the instance has written since the last call."""
        new = [line for line in await instance.lines() if line.at > self._kept_until]
        self._kept_until = new[-1].at if new else self._kept_until
        group, stream = endpoint_log(self._template.spec, instance.id)
        if keeps_logs(self._context.rights, self._template.role, group, stream):
            await self._context.keep_logs(self._template.spec, instance.id, new)
        else:
            log.warning("the role %s may not write the log %s of %s", self._template.role, stream, group)

    async def _ping(self, instance: Instance) -> bool:
        return not self._is_hit("unhealthy", instance.id) and await instance.ping()

    def _is_hit(self, kind: str, instance_id: str) -> bool:
        """Check whether a fault of this kind, or `hang`, hits the instance."""
        spec, kinds = self._template.spec, (kind, "hang") if instance_id else (kind,)
        return any(self._context.faults.of_instance(spec.endpoint, spec.config, instance_id, *kinds))

    async def _with_model_data(self) -> InstanceSpec:
        """Complete the spec with the unpacked model. Raises InstanceFailed."""
        if self._template.model_data is None:
            return self._template.spec
        try:
            directory = await asyncio.to_thread(self._context.unpack, self._template.model_data)
        except ModelDataError as error:
            raise InstanceFailed(str(error)) from error
        return replace(self._template.spec, model_dir=directory)

    async def _becomes_healthy(self, instance: Instance, deadline: float) -> bool:
        """Ping until the first 200; False at the deadline, or at once when the container has exited."""
        while monotonic() < deadline:
            if await self._ping(instance):
                return True
            if not await instance.alive():
                return False
            await asyncio.sleep(START_POLL_SECONDS)
        return False
