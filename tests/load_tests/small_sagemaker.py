"""A small SageMaker in a thread: one endpoint that answers golden predictions as slowly or badly as told."""

import asyncio
import json
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from aiohttp import web

ENDPOINT = "digits-test"
SLOWER = "digits-slower"  # another model, 30 ms slower
CASES = 8


def golden_set() -> dict[str, object]:
    """Eight images, each a different label; the first pixel says which."""
    return {
        "schema": 1,
        "content_type": "application/json",
        "tolerance": 1e-4,
        "cases": [
            {"instance": [label] + [0] * 63, "prediction": prediction(label)} for label in range(CASES)
        ],
    }


def prediction(label: int) -> dict[str, object]:
    return {"label": label, "probabilities": [1.0 if each == label else 0.0 for each in range(10)]}


@dataclass
class SmallSageMaker:
    """What the endpoint does next; change the fields while it runs."""

    url: str = ""
    service_seconds: float = 0.002
    at_once: int = 1000  # requests answered at the same time; more of them wait
    stall_after: int = 0  # once so many requests have come, nothing is answered …
    stall_seconds: float = 0.0  # … for so long
    fail_every: int = 0  # every n-th answer is a model error
    wrong_label: bool = False
    current: int = 2
    requests: int = 0
    failures: int = 0
    authorizations: set[str] = field(default_factory=set)
    _gate: asyncio.Semaphore | None = None
    _stalled_until: float = 0.0

    async def invoke(self, request: web.Request) -> web.Response:
        self.requests += 1
        number = self.requests
        self.authorizations.add(request.headers.get("Authorization", "").split(" ")[0])
        image = json.loads(await request.read())["instances"][0]
        self._gate = self._gate or asyncio.Semaphore(self.at_once)
        async with self._gate:
            await asyncio.sleep(self.service_seconds)
        if number == self.stall_after:
            self._stalled_until = time.monotonic() + self.stall_seconds
        await asyncio.sleep(max(0.0, self._stalled_until - time.monotonic()))
        if self.fail_every and number % self.fail_every == 0:
            self.failures += 1
            body = {"ErrorCode": "INTERNAL_FAILURE_FROM_MODEL", "OriginalStatusCode": 500}
            body |= {"Message": "Received server error (500)", "OriginalMessage": "the model broke"}
            return web.json_response(body, status=424, headers={"x-amzn-ErrorType": "ModelError"})
        label = int(image[0]) + (1 if self.wrong_label else 0)
        said = f"release=abc;instance=i{number % self.current}"
        return web.json_response(
            {"predictions": [prediction(label)]},
            headers={"X-Amzn-SageMaker-Custom-Attributes": said},
        )

    async def invoke_slower(self, request: web.Request) -> web.Response:
        await asyncio.sleep(0.03)
        answer = await self.invoke(request)
        answer.body = b'{"predictions": [{"label": 0, "probabilities": []}]}'  # another model's
        return answer

    async def control(self, request: web.Request) -> web.Response:
        if request.headers["X-Amz-Target"] != "SageMaker.DescribeEndpoint":
            return web.json_response({"__type": "UnknownOperation"}, status=400)
        variant = {"VariantName": "AllTraffic", "CurrentInstanceCount": self.current}
        answer = {
            "EndpointName": ENDPOINT,
            "EndpointArn": f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint/{ENDPOINT}",
            "EndpointConfigName": f"{ENDPOINT}-config",
            "EndpointStatus": "InService",
            "CreationTime": 1.0,
            "LastModifiedTime": 1.0,
            "ProductionVariants": [variant | {"DesiredInstanceCount": self.current}],
        }
        return web.json_response(answer, content_type="application/x-amz-json-1.1")


def serve(service: SmallSageMaker, ready: "Future[asyncio.AbstractEventLoop]", done: threading.Event) -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_post(f"/endpoints/{ENDPOINT}/invocations", service.invoke)
        app.router.add_post(f"/endpoints/{SLOWER}/invocations", service.invoke_slower)
        app.router.add_post("/", service.control)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        service.url = f"http://{host}:{port}"
        ready.set_result(asyncio.get_running_loop())
        await asyncio.to_thread(done.wait)
        await runner.cleanup()

    asyncio.run(run())
