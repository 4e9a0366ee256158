"""Requests that come whether or not others were answered, 200 a second: none is lost by a deployment."""

import asyncio
from collections import Counter
from collections.abc import Callable

import aiohttp
import pytest

from testbed.deployment_configs import blue_green
from testbed.serving import Serving

pytestmark = pytest.mark.starts_processes

PER_SECOND = 200


async def offer(url: str, until: Callable[[], bool]) -> Counter[tuple[int, str]]:
    """Send a request every 5 ms, on time or at once when late; count the answers by status and release."""
    answers: Counter[tuple[int, str]] = Counter()

    async def ask(session: aiohttp.ClientSession) -> None:
        try:
            async with session.post(url, data=b"hello") as answer:
                attributes = answer.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
                answers[answer.status, attributes.partition(";")[0]] += 1
        except aiohttp.ClientError as error:
            answers[0, repr(error)] += 1

    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as asking:
        while not until():
            sent += 1
            asking.create_task(ask(session))
            await asyncio.sleep(max(0.0, began + sent / PER_SECOND - loop.time()))
    assert answers.total() == sent
    return answers


@pytest.mark.parametrize("kind", ["CANARY", "LINEAR"])
def test_a_deployment_under_200_requests_a_second_loses_none(serving: Serving, kind: str) -> None:
    """Bakes of 300 AWS seconds last 1 s each; both fleets are asked during the first."""
    new = serving.config("new", instances=2)
    name = serving.endpoint(serving.config("old", instances=2))

    async def deploy() -> Counter[tuple[int, str]]:
        policy = blue_green(kind, wait=300, termination=300)
        await asyncio.to_thread(serving.update, name, new, DeploymentConfig=policy)
        settled = asyncio.create_task(asyncio.to_thread(serving.settled, name))
        url = f"{serving.aws.url}/endpoints/{name}/invocations"
        answers = await offer(url, settled.done)
        assert (await settled)["EndpointConfigName"] == new
        return answers

    answers = asyncio.run(deploy())

    assert answers.keys() == {(200, "release=old"), (200, "release=new")}
    assert answers.total() > 2 * PER_SECOND
