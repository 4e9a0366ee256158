"""Requests per CPU-second of the client: boto3, Locust's HttpUser and FastHttpUser, and this project's generator.

    python benchmarks/load_generator.py [--rounds 5] [--seconds 3]

Each client runs in a process of its own, twenty Locust users without a pause, against a server that answers at
once with a constant (nginx, or aiohttp where there is none). The clients take turns, round after round, so that
what else the machine does meets all of them; medians over the rounds, and ratios of each round's figures to boto3's.
HttpUser and FastHttpUser send unsigned requests: their figures are what signing would have to be added to.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLIENTS = ("boto3", "HttpUser", "FastHttpUser", "this project")
USERS = 20
WARM_UP_SECONDS = 0.7
GOLDEN = ROOT / "container/local_test/opt/ml/model/golden.json"
PATH = "/endpoints/e/invocations"
CASE = json.loads(GOLDEN.read_text())["cases"][0]
ANSWER = json.dumps({"predictions": [CASE["prediction"]]})
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b;
  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{answer}'; }} }} }}
"""


def measure(client: str, seconds: float) -> dict[str, Any]:
    """Run one client in this process; return its requests and its CPU seconds, after a warm-up."""
    from locust import (
        FastHttpUser,
        HttpUser,
        User,
        constant,
        task,
    )  # patches sockets: only in a client's process
    from locust.env import Environment

    body = json.dumps({"instances": [CASE["instance"]]}).encode()
    headers = {"Content-Type": "application/json"}
    url = os.environ["AWS_ENDPOINT_URL"]

    class Plain(HttpUser):  # type: ignore[misc]
        wait_time, host = constant(0), url

        @task  # type: ignore[untyped-decorator]
        def predict(self) -> None:
            self.client.post(PATH, data=body, headers=headers)

    class Fast(FastHttpUser):  # type: ignore[misc]
        wait_time, host = constant(0), url

        @task  # type: ignore[untyped-decorator]
        def predict(self) -> None:
            self.client.post(PATH, data=body, headers=headers)

    class Signed(User):  # type: ignore[misc]
        wait_time = constant(0)
        send: Callable[[], None]

        @task  # type: ignore[untyped-decorator]
        def predict(self) -> None:
            type(self).send()

    kind = {"HttpUser": Plain, "FastHttpUser": Fast}.get(client, Signed)
    environment = Environment(user_classes=[kind])
    if kind is Signed:
        sender = _boto3_sender if client == "boto3" else _own_sender
        Signed.send = staticmethod(sender(body, environment.events.request.fire))
    return _count(environment, seconds)


def _boto3_sender(body: bytes, fire: Callable[..., None]) -> Callable[[], None]:
    import boto3
    from botocore.config import Config

    settings = Config(
        retries={"total_max_attempts": 1}, max_pool_connections=USERS, parameter_validation=False
    )
    runtime = boto3.client("sagemaker-runtime", config=settings)

    def send() -> None:
        started = time.perf_counter()
        answer = runtime.invoke_endpoint(EndpointName="e", ContentType="application/json", Body=body)
        length, took = len(answer["Body"].read()), (time.perf_counter() - started) * 1000
        fire(
            request_type="invoke",
            name="e",
            response_time=took,
            response_length=length,
            exception=None,
            context={},
        )

    return send


def _own_sender(_body: bytes, fire: Callable[..., None]) -> Callable[[], None]:
    from load_tests.session import Session
    from load_tests.timing import now

    session = Session(Namespace(endpoint="e", check_every=10**9, payloads=str(GOLDEN)), fire)
    return lambda: session.start(now()).join()


def _count(environment: Any, seconds: float) -> dict[str, Any]:
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


@contextmanager
def upstream() -> Iterator[tuple[str, str]]:
    """Yield (kind, URL) of a server that answers everything at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nginx = shutil.which("nginx")
    if nginx is None:
        with _aiohttp(port):
            yield "aiohttp", f"http://127.0.0.1:{port}"
        return
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, answer=ANSWER))
        process = subprocess.Popen([nginx, "-e", "stderr", "-c", str(config)])
        try:
            _wait_for(port)
            yield "nginx", f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _aiohttp(port: int) -> Iterator[None]:
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=ANSWER, content_type="application/json")

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.to_thread(done.wait)
        await runner.cleanup()

    done = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        _wait_for(port)
        yield
    finally:
        done.set()
        thread.join()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise SystemExit("The server to load did not come up within 10 s.")
        time.sleep(0.05)


def compare(rounds: int, seconds: float) -> dict[str, Any]:
    """Run every client in every round; return the figures and what follows from them."""
    rates: dict[str, list[float]] = {client: [] for client in CLIENTS}
    with upstream() as (kind, url):
        environ = os.environ | {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "s",
        }
        environ |= {"AWS_SESSION_TOKEN": "t", "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": str(ROOT)}
        for number in range(rounds):
            for client in CLIENTS[number % len(CLIENTS) :] + CLIENTS[: number % len(CLIENTS)]:
                command = [sys.executable, __file__, "--client", client, "--seconds", str(seconds)]
                ended = subprocess.run(
                    command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False
                )
                if ended.returncode != 0:
                    raise SystemExit(f"{client} broke off:\n{ended.stderr}")
                found = json.loads(ended.stdout.splitlines()[-1])
                if found["failures"]:
                    raise SystemExit(f"{client}: nothing to compare, requests failed: {found['errors']}")
                rates[client].append(found["requests"] / found["cpu_seconds"])
    ratios = {
        client: statistics.median(own / boto for own, boto in zip(each, rates["boto3"], strict=True))
        for client, each in rates.items()
    }
    return {"server": kind, "rounds": rounds, "seconds": seconds, "users": USERS,
            "requests_per_cpu_second": rates, "ratio_to_boto3": ratios}  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """The figures as a markdown table."""
    lines = [
        "| client | requests per client CPU-second, median (lowest–highest) | times boto3 |",
        "|---|---:|---:|",
    ]
    for client, each in found["requests_per_cpu_second"].items():
        spread = f"{statistics.median(each):,.0f} ({min(each):,.0f}–{max(each):,.0f})"
        lines.append(f"| {client} | {spread} | {found['ratio_to_boto3'][client]:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--client", choices=CLIENTS, help="run this one alone, against AWS_ENDPOINT_URL")
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    args = parser.parse_args()
    if args.client:
        print(json.dumps(measure(args.client, args.seconds)))
        return
    found = compare(args.rounds, args.seconds)
    print(f"{found['rounds']} rounds of {found['seconds']:g} s, {USERS} users, against {found['server']}\n")
    print(table(found))
    if args.out:
        args.out.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
