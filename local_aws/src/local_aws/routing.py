"""Routing: an immutable route for each endpoint, and a pure choice of the instance."""

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
    """One healthy instance: its URL and the number of its requests in flight."""

    instance_id: str
    url: str
    in_flight: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The keep-alive connections to this instance, opened at the first request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session

    def enter(self) -> None:
        """Count a request that begins."""
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count a request that has ended."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Wait until no request is in flight, then close the connections; return False after `seconds`.

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
class VariantRoute:
    """The instances of one variant on one endpoint config, and their share of the traffic."""

    variant: str
    config: str
    weight: float
    strategy: str
    upstreams: tuple[Upstream, ...]


@dataclass(frozen=True)
class Route:
    """The route of one endpoint to all its variants; immutable, replaced as a whole."""

    variant_routes: tuple[VariantRoute, ...]

    def instances(self, variant: str) -> int:
        """Count the instances that take a variant's requests."""
        return sum(
            len(variant_route.upstreams)
            for variant_route in self.variant_routes
            if variant_route.variant == variant
        )


def choose(
    route: Route, target_variant: str | None, tried: Iterable[Upstream], dice: random.Random
) -> tuple[VariantRoute, Upstream] | None:
    """Choose a variant by weight, then an instance by the variant's strategy; None when there is none.

    A target variant overrides the weights. Instances in `tried`, which refused a connection, are chosen last.
    """
    variant_routes = [
        variant_route
        for variant_route in route.variant_routes
        if variant_route.upstreams and target_variant in (None, variant_route.variant)
    ]
    weights = [variant_route.weight for variant_route in variant_routes]
    if not variant_routes or (sum(weights) <= 0 and target_variant is None):
        return None
    variant_route = (
        variant_routes[0]
        if len(variant_routes) == 1
        else dice.choices(variant_routes, weights if sum(weights) > 0 else None)[0]
    )
    avoided = set(tried)
    fresh = [upstream for upstream in variant_route.upstreams if upstream not in avoided]
    return variant_route, _within(variant_route.strategy, fresh or variant_route.upstreams, dice)


def _within(strategy: str, upstreams: Sequence[Upstream], dice: random.Random) -> Upstream:
    if strategy == "RANDOM":
        return dice.choice(upstreams)
    least = min(upstream.in_flight for upstream in upstreams)
    return dice.choice([upstream for upstream in upstreams if upstream.in_flight == least])
