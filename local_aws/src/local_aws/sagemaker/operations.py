"""The operations that take time: create, deploy, scale and delete an endpoint, one at a time."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from local_aws.clock import Clock
from local_aws.protocols import AlarmStates
from local_aws.sagemaker.deployment_policy import Plan, Step
from local_aws.sagemaker.endpoint import Deployed, Endpoint, Side, Stage
from local_aws.sagemaker.fleet import all_or_none
from local_aws.sagemaker.member import InstanceFailed
from local_aws.settings import Settings

UNEXPECTED = "Request to service failed. If failure persists after retry, contact customer support."

log = logging.getLogger(__name__)


class RolledBack(Exception):
    """A deployment cannot go on; the text is a FailureReason."""


class Operations:
    """The runner of operations; each ends with the endpoint in a status that allows the next.

    `publish(endpoint)` puts the endpoint's route in force.
    """

    def __init__(
        self, alarms: AlarmStates, clock: Clock, settings: Settings, publish: Callable[[Endpoint], None]
    ) -> None:
        self._alarms = alarms
        self._clock = clock
        self._settings = settings
        self._publish = publish

    def begin(self, endpoint: Endpoint, status: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` as the endpoint's operation, under `status`."""
        self._enter(endpoint, status)
        endpoint.operation = asyncio.create_task(self._guard(endpoint, work))

    async def create(self, endpoint: Endpoint, side: Side, counts: Mapping[str, int]) -> None:
        """Start the first fleets: InService, or Failed with a reason."""
        endpoint.pending = side
        try:
            await self._reach(side, counts)
        except InstanceFailed as error:
            endpoint.failure_reason = str(error)
            endpoint.pending = None
            await side.close()
            self._enter(endpoint, "Failed")
            return
        endpoint.live, endpoint.pending = side, None
        _clear_stages(side)
        self._publish(endpoint)
        self._enter(endpoint, "InService")

    async def deploy(self, endpoint: Endpoint, new: Side, plan: Plan) -> None:
        """Move from the live config to `new`, or return to it: InService either way.

        Only a rolling deployment can fail to return: UpdateRollbackFailed, with both configs in service.
        A failure reason after a rollback stays until the next operation.
        """
        assert endpoint.live is not None, "an endpoint that can be updated serves something"
        endpoint.pending, endpoint.failure_reason = new, None
        try:
            async with asyncio.timeout(self._clock.real(plan.maximum_seconds)):
                if not plan.rolling:
                    await self._reach(new, plan.new)
                for step in plan.steps:
                    await self._move(endpoint, new, step, plan, plan.alarms)
        except (InstanceFailed, RolledBack) as error:
            endpoint.failure_reason = str(error)
        except TimeoutError:
            endpoint.failure_reason = (
                f"The deployment exceeded MaximumExecutionTimeoutInSeconds ({plan.maximum_seconds}) "
                "and was rolled back."
            )
        leaving: tuple[Side, ...] = (new,)
        if endpoint.failure_reason is None:
            leaving = endpoint.serving
        elif not await self._goes_back(endpoint, new, plan):
            leaving = ()
        await asyncio.gather(*(self._retire(side) for side in leaving))
        if endpoint.failure_reason is None:
            endpoint.live, endpoint.stranded, endpoint.config_name = new, (), new.config.name
        endpoint.pending = endpoint.step = None
        for side in endpoint.serving:
            _clear_stages(side)
        self._publish(endpoint)
        self._enter(endpoint, "UpdateRollbackFailed" if endpoint.stranded else "InService")

    async def _goes_back(self, endpoint: Endpoint, new: Side, plan: Plan) -> bool:
        """Bring the traffic back to the live side; return False when it lacks instances and `new` must stay."""
        live = endpoint.live
        assert live is not None, "a deployment has something to return to"
        try:
            standing = {name: len(deployed.fleet.members) for name, deployed in live.variants.items()}
            for step in plan.rollback_steps(standing):
                await self._move(endpoint, new, step, plan, ())
        except InstanceFailed as error:
            endpoint.failure_reason = f"{endpoint.failure_reason} The rollback failed: {error}"
            for name, deployed in new.variants.items():
                active = endpoint.step.active[name] if endpoint.step else 0
                share = active / max(active + _present(live, name), 1)
                deployed.current_weight *= share
                live.variants[name].current_weight *= 1 - share
            endpoint.stranded = (*endpoint.stranded, new)
            return False
        return True

    async def scale(
        self, endpoint: Endpoint, counts: Mapping[str, int], weights: Mapping[str, float]
    ) -> None:
        """Bring variants to new instance counts and weights; a count that cannot be reached is abandoned."""
        assert endpoint.live is not None, "an endpoint that can be scaled serves something"
        endpoint.failure_reason = None
        variants = endpoint.live.variants
        for name, weight in weights.items():
            variants[name].desired_weight = weight
        try:
            await self._reach(endpoint.live, counts)
        except InstanceFailed as error:
            endpoint.failure_reason = str(error)
        for name, weight in weights.items():
            variants[name].current_weight = weight
        _clear_stages(endpoint.live)
        self._publish(endpoint)
        self._enter(endpoint, "InService")

    async def delete(self, endpoint: Endpoint, forget: Callable[[], None]) -> None:
        """Stop all instances, then call `forget`."""
        await asyncio.gather(*(side.close() for side in endpoint.sides))
        forget()

    async def _reach(self, side: Side, counts: Mapping[str, int]) -> None:
        """Bring fleets of a side to `counts`. Raises InstanceFailed; fleets that succeeded stay."""
        for name, count in counts.items():
            present = _present(side, name)
            if present == 0 < count:
                self._stage(side.variants[name], "Creating", f"Launching {count} instance(s).")
            elif present < count:
                text = f"Scaling out desired instance count to {count}."
                self._stage(side.variants[name], "Updating", text)
            elif present > count:
                self._stage(side.variants[name], "Deleting", f"Terminating {present - count} instance(s).")
        await all_or_none([side.variants[name].fleet.reach(count) for name, count in counts.items()])

    async def _move(
        self, endpoint: Endpoint, new: Side, step: Step, plan: Plan, alarms: tuple[str, ...]
    ) -> None:
        """Move traffic, then bake under `alarms`; in a rolling plan instances come before and go after.

        Raises InstanceFailed, or RolledBack when an alarm trips.
        """
        live = endpoint.live
        assert live is not None, "traffic moves between two sides"
        wanted = ((new, step.active), (live, step.kept)) if plan.rolling else ()
        for side, counts in wanted:
            await self._reach(side, {n: c for n, c in counts.items() if c > _present(side, n)})
        capacity = "full capacity" if step.full else "canary capacity"
        for name, deployed in new.variants.items():
            text = f"Activating traffic on {capacity} of {step.active[name]} instance(s)."
            self._stage(deployed, "ActivatingTraffic", text)
        endpoint.step = step
        self._publish(endpoint)
        for name, deployed in new.variants.items():
            text = (
                f"Baking for {step.bake_seconds} seconds (TerminationWaitInSeconds) with traffic enabled "
                f"on {capacity} of {step.active[name]} instance(s)."
            )
            self._stage(deployed, "Baking", text)
        await self._bake(step.bake_seconds, alarms)
        for side, counts in wanted:
            await self._reach(side, {n: c for n, c in counts.items() if c < _present(side, n)})

    async def _bake(self, aws_seconds: float, alarms: tuple[str, ...]) -> None:
        """Wait, checking the alarms meanwhile and once at the end. Raises RolledBack."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._clock.real(aws_seconds)
        while True:
            tripped = [name for name in alarms if self._alarms.state(name) == "ALARM"]
            if tripped:
                raise RolledBack(f"The deployment was rolled back: in ALARM state: {', '.join(tripped)}.")
            left = end - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(left, self._settings.alarm_poll_seconds))

    async def _retire(self, side: Side) -> None:
        """Stop a side that no longer takes traffic."""
        for deployed in side.variants.values():
            text = f"Terminating {len(deployed.fleet.members)} instance(s)."
            self._stage(deployed, "Deleting", text)
        await side.close()

    def _stage(self, deployed: Deployed, status: str, message: str) -> None:
        deployed.stage = Stage(status, message, self._clock.now())

    def _enter(self, endpoint: Endpoint, status: str) -> None:
        endpoint.status, endpoint.modified = status, self._clock.now()

    async def _guard(self, endpoint: Endpoint, work: Coroutine[Any, Any, None]) -> None:
        """Run an operation; an unexpected error ends it on the live side, with the cause in the log."""
        try:
            await work
        except Exception as error:
            log.exception("the operation on endpoint %s failed", endpoint.name)
            endpoint.failure_reason = f"{UNEXPECTED} ({type(error).__name__}: {error})"
            unfinished, endpoint.pending, endpoint.step = endpoint.pending, None, None
            self._publish(endpoint)
            if unfinished is not None:
                await unfinished.close()
            self._enter(endpoint, "InService" if endpoint.live is not None else "Failed")


def _present(side: Side, variant: str) -> int:
    return len(side.variants[variant].fleet.members)


def _clear_stages(side: Side | None) -> None:
    for deployed in side.variants.values() if side else ():
        deployed.stage = None
