"""The fleet of one variant on one endpoint config: as many healthy instances as desired."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from local_aws.routing import Upstream
from local_aws.sagemaker.member import FleetContext, InstanceFailed, LaunchTemplate, Member
from local_aws.sagemaker.resources import ProductionVariant

REPLACEMENT_TRIES = 3


class Fleet:
    """The instances of one variant: started, replaced, stopped; `on_change` is called when the healthy ones change.

    One `reach` or `close` at a time; replacements go on beside them.
    """

    def __init__(
        self,
        variant: ProductionVariant,
        template: LaunchTemplate,
        context: FleetContext,
        on_change: Callable[[], None],
    ) -> None:
        self.variant = variant
        self.template = template
        self.desired = 0
        self.trouble: str | None = None
        """Reason why a failed instance could not be replaced, or None."""
        self._context = context
        self._on_change = on_change
        self._members: list[Member] = []
        self._watches: dict[Member, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def healthy(self) -> tuple[Upstream, ...]:
        """The instances that may take traffic, oldest first."""
        return tuple(member.upstream for member in self._members if member.upstream is not None)

    @property
    def members(self) -> tuple[Member, ...]:
        """All instances, those that still start included."""
        return tuple(self._members)

    async def reach(self, count: int) -> None:
        """Start or stop instances until there are `count`; returns when they are healthy, or gone.

        Raises InstanceFailed when one fails to start; then the others of this call are stopped, too.
        """
        before, self.desired = self.desired, count
        surplus = self._members[count:]
        new = [self._enlist() for _ in range(count - len(self._members))]
        try:
            await asyncio.gather(*(self._dismiss(member) for member in surplus))
            await all_or_none([member.start() for member in new])
        except BaseException:
            self.desired = min(before, count)
            await asyncio.gather(*(self._dismiss(member) for member in new))
            raise
        for member in new:
            self._watches[member] = asyncio.create_task(self._replace_when_unhealthy(member))
        if new:
            self._on_change()

    async def close(self) -> None:
        """Stop every instance, and wait for those that are already stopping."""
        self.desired = 0
        await asyncio.gather(*(self._dismiss(member) for member in self.members))
        await asyncio.gather(*self._leaving)

    def abandon(self) -> None:
        """Stop the health checks, because the launcher will stop every instance."""
        for watch in self._watches.values():
            watch.cancel()

    def _enlist(self) -> Member:
        member = Member(self.template, self._context)
        self._members.append(member)
        return member

    async def _dismiss(self, member: Member) -> None:
        """Stop a member, its health check and its replacement."""
        watch = self._watches.pop(member, None)
        if watch is not None:
            watch.cancel()
        await asyncio.shield(self._take_out(member))

    def _take_out(self, member: Member) -> asyncio.Task[None]:
        """Take a member out of the traffic at once; the returned task stops it."""
        self._members.remove(member)
        self._on_change()
        leaving = asyncio.create_task(member.leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        return leaving

    async def _replace_when_unhealthy(self, member: Member) -> None:
        """Watch a member; when it fails, start another in its place while it leaves."""
        await member.until_unhealthy()
        if self._watches.pop(member, None) is not None:  # not dismissed in the same moment
            self._take_out(member)
            await self._replace()

    async def _replace(self) -> None:
        """Start one more, at most REPLACEMENT_TRIES times; afterwards `trouble` says why there is none."""
        for _ in range(REPLACEMENT_TRIES):
            if len(self._members) >= self.desired:
                return
            new = self._enlist()
            task = asyncio.current_task()
            assert task is not None, "runs as a task of its own"
            self._watches[new] = task
            try:
                await new.start()
            except InstanceFailed as error:
                self.trouble = str(error)
                if self._watches.pop(new, None) is None:
                    return
                self._take_out(new)
            else:
                self.trouble = None
                self._watches[new] = asyncio.create_task(self._replace_when_unhealthy(new))
                self._on_change()
                return


async def all_or_none(starts: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all; the first failure cancels the others and is raised once they have ended."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
