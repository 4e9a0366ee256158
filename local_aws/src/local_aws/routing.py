"""Which instance answers a request: a copy-on-write table, and a pure choice in it."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import aiohttp

# gunicorn closes an idle connection after 2 s at the earliest: let it go before, so that no request
# is ever written into a connection that the other side is closing.
KEEP_ALIVE_SECONDS = 1.0
CONNECT_SECONDS = 0.25


@dataclass(eq=False)
class Upstream:
    """One healthy instance: where it listens, and how many requests it is answering."""

    instance_id: str
    url: str
    in_flight: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Keep-alive connections to this instance alone, opened at the first request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session

    def enter(self) -> None:
        """Count one request in."""
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count one request out."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Wait until nothing is in flight, then close the connections; False when `seconds` were too few.

        Call it once the table no longer names this instance. The connections are closed because gunicorn
        would otherwise hold them for its whole graceful time-out.
        """
        drained = True
        if self.in_flight:
            try:
                await asyncio.wait_for(self._idle.wait(), seconds)
            except TimeoutError:
                drained = False
        if self._session is not None:
            await self._session.close()
            self._session = None
        return drained


@dataclass(frozen=True)
class Lane:
    """The instances that share one stream of traffic: one variant on one endpoint config."""

    variant: str
    config: str
    weight: float
    strategy: str
    upstreams: tuple[Upstream, ...]


@dataclass(frozen=True)
class Route:
    """All lanes of one endpoint; replaced as a whole, never changed."""

    lanes: tuple[Lane, ...]

    def instances(self, variant: str) -> int:
        """Count the instances that take a variant's requests."""
        return sum(len(lane.upstreams) for lane in self.lanes if lane.variant == variant)


def choose(
    route: Route, target_variant: str | None, tried: Iterable[Upstream], dice: random.Random
) -> tuple[Lane, Upstream] | None:
    """Choose the lane by weight, then the instance by the lane's strategy; None when nobody can answer.

    A target variant overrides the weights. Instances in `tried` come last: they did not accept a connection.
    """
    lanes = [lane for lane in route.lanes if lane.upstreams and target_variant in (None, lane.variant)]
    weights = [lane.weight for lane in lanes]
    if not lanes or (sum(weights) <= 0 and target_variant is None):
        return None
    lane = lanes[0] if len(lanes) == 1 else dice.choices(lanes, weights if sum(weights) > 0 else None)[0]
    avoided = set(tried)
    fresh = [upstream for upstream in lane.upstreams if upstream not in avoided]
    return lane, _within(lane.strategy, fresh or lane.upstreams, dice)


def _within(strategy: str, upstreams: Sequence[Upstream], dice: random.Random) -> Upstream:
    if strategy == "RANDOM":
        return dice.choice(upstreams)
    least = min(upstream.in_flight for upstream in upstreams)
    return dice.choice([upstream for upstream in upstreams if upstream.in_flight == least])
