"""The clients of benchmarks/load_generator.py: each runs in a process of its own, as Locust users without a pause."""

import os
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import golden

ROOT = Path(__file__).parents[1]
CLIENTS = ("boto3", "HttpUser", "FastHttpUser", "this project")
USERS = 20
WARM_UP_SECONDS = 0.7
GOLDEN = ROOT / "container/local_test/opt/ml/model" / golden.FILE
CASE = golden.read(GOLDEN).case(0)
PATH = "/endpoints/e/invocations"


def measure(client: str, seconds: float) -> dict[str, Any]:
    """Run one client in this process; return its requests and its CPU seconds, after a warm-up.

    AWS_ENDPOINT_URL names the server.
    """
    # Locust replaces Python's sockets with gevent's, so only this process may import it.
    from locust import FastHttpUser, HttpUser
    from locust.env import Environment

    body = CASE.request.body
    http_user = {"HttpUser": HttpUser, "FastHttpUser": FastHttpUser}.get(client)
    environment = Environment()
    if http_user is not None:
        environment.user_classes = [_unsigned_user(http_user, body)]
    else:
        make_sender = _boto3_sender if client == "boto3" else _own_sender
        environment.user_classes = [_signed_user(make_sender(body, environment.events.request.fire))]
    return _count(environment, seconds)


def _unsigned_user(base: Any, body: bytes) -> Any:
    """Make a class of Locust users that post `body` with Locust's own HTTP client."""
    from locust import constant, task

    class Unsigned(base):  # type: ignore[misc]
        wait_time, host = constant(0), os.environ["AWS_ENDPOINT_URL"]

        @task  # type: ignore[untyped-decorator]
        def predict(self) -> None:
            self.client.post(PATH, data=body, headers={"Content-Type": "application/json"})

    return Unsigned


def _signed_user(send: Callable[[], None]) -> Any:
    """Make a class of Locust users that call `send`."""
    from locust import User, constant, task

    class Signed(User):  # type: ignore[misc]
        wait_time = constant(0)

        @task  # type: ignore[untyped-decorator]
        def predict(self) -> None:
            send()

    return Signed


def _boto3_sender(body: bytes, fire: Callable[..., None]) -> Callable[[], None]:
    import boto3
    from botocore.config import Config

    settings = Config(
        retries={"total_max_attempts": 1}, max_pool_connections=USERS, parameter_validation=False
    )
    runtime = boto3.client("sagemaker-runtime", config=settings)
    event: dict[str, Any] = {"request_type": "invoke", "name": "e", "exception": None, "context": {}}

    def send() -> None:
        started = time.perf_counter()
        answer = runtime.invoke_endpoint(EndpointName="e", ContentType="application/json", Body=body)
        length, milliseconds = len(answer["Body"].read()), (time.perf_counter() - started) * 1000
        fire(response_time=milliseconds, response_length=length, **event)

    return send


def _own_sender(_body: bytes, fire: Callable[..., None]) -> Callable[[], None]:
    from load_tests.payloads import JSON
    from load_tests.session import Session
    from load_tests.timing import now

    options = Namespace(endpoint="e", against="", check_every=10**9, payloads=str(GOLDEN), content_type=JSON)
    session = Session(options, fire)
    return lambda: session.start(now()).join()


def _count(environment: Any, seconds: float) -> dict[str, Any]:
    """Run the users; count requests and CPU seconds after the warm-up."""
    import gevent
    import psutil

    process = psutil.Process()
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=1000)
    gevent.sleep(WARM_UP_SECONDS)
    stats = environment.stats.total
    before, cpu_before, began = stats.num_requests, sum(process.cpu_times()[:2]), time.perf_counter()
    gevent.sleep(seconds)
    found = {
        "requests": stats.num_requests - before,
        "cpu_seconds": sum(process.cpu_times()[:2]) - cpu_before,
        "seconds": time.perf_counter() - began,
        "failures": stats.num_failures,
        "errors": [str(error.error) for error in environment.stats.errors.values()],
    }
    runner.quit()
    return found
