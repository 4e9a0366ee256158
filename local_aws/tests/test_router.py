"""The router against instances that do not accept, break off, or answer: who is asked again, and who is not."""

import asyncio
import socket
from collections import Counter

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from local_aws.router import InvocationOutcome, Router
from local_aws.routing import Route, Upstream, VariantRoute


class Instance:
    """An instance that counts its requests, and answers or breaks off."""

    def __init__(self, *, breaks_off: bool = False) -> None:
        self.requests = 0
        self._breaks_off = breaks_off
        app = web.Application()
        app.router.add_post("/invocations", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self._breaks_off:
            assert request.transport is not None
            request.transport.close()
        return web.Response(text="answer")


def closed_port() -> int:
    """Return a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ask_through_router(
    instances: list[Instance], dead: int, requests: int
) -> tuple[list[int], list[InvocationOutcome]]:
    """Send requests to an endpoint of these instances and of `dead` ones; return statuses and records."""

    async def act() -> tuple[list[int], list[InvocationOutcome]]:
        recorded: list[InvocationOutcome] = []
        router = Router(timeout_seconds=5, max_payload_bytes=1000, record=recorded.append)
        for instance in instances:
            await instance.server.start_server()
        urls = [str(instance.server.make_url("")).rstrip("/") for instance in instances]
        urls += [f"http://127.0.0.1:{closed_port()}" for _ in range(dead)]
        upstreams = tuple(Upstream(f"i-{n}", url) for n, url in enumerate(urls))
        router.table["digits"] = Route((VariantRoute("A", "config", 1.0, "RANDOM", upstreams),))
        app = web.Application()
        app.router.add_post("/endpoints/{name}/invocations", router.handle)
        async with TestClient(TestServer(app)) as client:
            answers = [await client.post("/endpoints/digits/invocations", data=b"x") for _ in range(requests)]
            statuses = [answer.status for answer in answers]
        for upstream in upstreams:
            assert await upstream.drain(1)
        for instance in instances:
            await instance.server.close()
        return statuses, recorded

    return asyncio.run(act())


def test_an_instance_that_does_not_accept_costs_no_request() -> None:
    alive = Instance()
    statuses, recorded = ask_through_router([alive], dead=1, requests=20)

    assert statuses == [200] * 20
    assert alive.requests == len(recorded) == 20


def test_a_request_that_may_have_been_seen_is_never_sent_again() -> None:
    broken = Instance(breaks_off=True)
    statuses, recorded = ask_through_router([broken], dead=0, requests=5)

    assert statuses == [424] * 5
    assert broken.requests == 5
    assert [invocation.model_status for invocation in recorded] == [0] * 5


def test_nobody_who_accepts_is_a_service_that_is_unavailable() -> None:
    statuses, recorded = ask_through_router([], dead=2, requests=2)

    assert statuses == [503, 503]
    assert recorded == []


async def two_instances() -> tuple[list[Instance], tuple[Upstream, ...]]:
    """Start two instances; return them with their upstreams."""
    instances = [Instance(), Instance()]
    for instance in instances:
        await instance.server.start_server()
    urls = [str(instance.server.make_url("")).rstrip("/") for instance in instances]
    return instances, tuple(Upstream(f"i-{url}", url) for url in urls)


class Load:
    """Requests without a pause; their statuses are counted."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.is_over = False

    async def run(self, client: TestClient[web.Request, web.Application]) -> None:
        while not self.is_over:
            async with client.post("/endpoints/digits/invocations", data=b"x") as answer:
                self.statuses[answer.status] += 1

    async def wait_for(self, more: int) -> None:
        """Wait until so many more requests are answered."""
        wanted = self.statuses.total() + more
        while self.statuses.total() < wanted:
            await asyncio.sleep(0)


def test_twenty_swaps_of_all_upstreams_under_load_lose_no_request() -> None:
    """Each time two new instances take over, and the old ones are stopped once they have answered."""

    async def act() -> tuple[Counter[int], list[int]]:
        router = Router(timeout_seconds=5, max_payload_bytes=1000, record=lambda _: None)
        app = web.Application()
        app.router.add_post("/endpoints/{name}/invocations", router.handle)
        load, answered = Load(), list[int]()
        instances, upstreams = await two_instances()

        def publish() -> None:
            router.table["digits"] = Route((VariantRoute("A", "config", 1.0, "RANDOM", upstreams),))

        publish()
        async with TestClient(TestServer(app)) as client, asyncio.TaskGroup() as asking:
            for _ in range(16):
                asking.create_task(load.run(client))
            for _ in range(20):
                await load.wait_for(100)
                old, leaving = instances, upstreams
                instances, upstreams = await two_instances()
                publish()
                assert all(await asyncio.gather(*(upstream.drain(5) for upstream in leaving)))
                for instance in old:
                    await instance.server.close()
                    answered.append(instance.requests)
            load.is_over = True
        await asyncio.gather(*(upstream.drain(5) for upstream in upstreams))
        for instance in instances:
            await instance.server.close()
        return load.statuses, answered

    statuses, answered = asyncio.run(asyncio.wait_for(act(), 60))

    assert statuses.keys() == {200}
    assert len(answered) == 40
    assert min(answered) > 10
