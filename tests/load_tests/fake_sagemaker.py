"""A fake SageMaker in a thread: endpoints that answer golden predictions, with configurable delays and errors."""

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
    """Return eight cases with different labels; an instance is its label."""
    return {
        "schema": 1,
        "content_type": "application/json",
        "tolerance": 1e-4,
        "cases": [{"instance": [label], "prediction": prediction(label)} for label in range(CASES)],
    }


def prediction(label: int) -> dict[str, object]:
    return {"label": label, "probabilities": [1.0 if each == label else 0.0 for each in range(10)]}


@dataclass
class FakeSageMaker:
    """The behaviour of the endpoint; its fields may be changed while it runs."""

    url: str = ""
    service_seconds: float = 0.002
    max_concurrency: int = 1000  # requests answered at the same time; further ones wait
    stall_after: int = 0  # after this many requests no answer is sent …
    stall_seconds: float = 0.0  # … for this long
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
        instance = json.loads(await request.read())["instances"][0]
        self._gate = self._gate or asyncio.Semaphore(self.max_concurrency)
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
        label = int(instance[0]) + (1 if self.wrong_label else 0)
        identity = f"release=abc;instance=i{number % self.current}"
        return web.json_response(
            {"predictions": [prediction(label)]},
            headers={"X-Amzn-SageMaker-Custom-Attributes": identity},
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


def serve(service: FakeSageMaker, ready: "Future[None]", done: threading.Event) -> None:
    """Serve until `done` is set; `ready` completes once `service.url` is known."""

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
        ready.set_result(None)
        await asyncio.to_thread(done.wait)
        await runner.cleanup()

    asyncio.run(run())
