"""The router's choice of an instance, without any server."""

import asyncio
import random
from collections import Counter

from local_aws.routing import Route, Upstream, VariantRoute, choose


def upstream(name: str, in_flight: int = 0) -> Upstream:
    return Upstream(name, f"http://{name}", in_flight)


def variant_route(
    *upstreams: Upstream, variant: str = "A", weight: float = 1.0, strategy: str = "RANDOM"
) -> VariantRoute:
    return VariantRoute(variant, "config", weight, strategy, upstreams)


def spread(route: Route, target: str | None = None, tried: tuple[Upstream, ...] = ()) -> Counter[str]:
    dice = random.Random(1)
    chosen = [choose(route, target, tried, dice) for _ in range(1000)]
    return Counter(pair[1].instance_id for pair in chosen if pair is not None)


def test_lanes_are_chosen_by_weight() -> None:
    route = Route((variant_route(upstream("a"), weight=3), variant_route(upstream("b"), weight=1)))

    assert 700 < spread(route)["a"] < 800


def test_least_outstanding_requests_takes_the_idlest_and_rolls_dice_among_equals() -> None:
    busy, idle, also_idle = upstream("busy", 3), upstream("idle", 1), upstream("also-idle", 1)
    counts = spread(Route((variant_route(busy, idle, also_idle, strategy="LEAST_OUTSTANDING_REQUESTS"),)))

    assert counts["busy"] == 0
    assert 400 < counts["idle"] < 600


def test_random_takes_busy_instances_too() -> None:
    counts = spread(Route((variant_route(upstream("busy", 9), upstream("idle")),)))

    assert 400 < counts["busy"] < 600


def test_a_target_variant_overrides_the_weights() -> None:
    route = Route((variant_route(upstream("a")), variant_route(upstream("b"), variant="B", weight=0)))

    assert set(spread(route)) == {"a"}
    assert set(spread(route, target="B")) == {"b"}


def test_a_lane_without_instances_gets_nothing() -> None:
    assert set(spread(Route((variant_route(weight=9), variant_route(upstream("b")))))) == {"b"}


def test_an_instance_that_did_not_accept_comes_last() -> None:
    a, b = upstream("a"), upstream("b")

    assert set(spread(Route((variant_route(a, b),)), tried=(a,))) == {"b"}
    assert set(spread(Route((variant_route(a),)), tried=(a,))) == {"a"}


def test_nobody_can_answer_without_instances() -> None:
    assert choose(Route((variant_route(),)), None, (), random.Random(1)) is None


def test_draining_waits_for_the_last_answer_and_no_longer_than_its_bound() -> None:
    async def drain() -> tuple[bool, bool]:
        late, stuck = upstream("late"), upstream("stuck")
        late.enter()
        stuck.enter()
        asyncio.get_running_loop().call_later(0.01, late.leave)
        return await late.drain(5), await stuck.drain(0.01)

    assert asyncio.run(drain()) == (True, False)
