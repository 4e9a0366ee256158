"""Figures of the local AWS: `python -m benchmarks.local_aws` prints them as a table, for docs/performance.md.

Rates are compared within one run, in turns, so that other load on the machine affects both sides alike.
"""

import argparse
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

import local_aws

FOLDER = Path(__file__).resolve().parent
ROUNDS = 5
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)


class Client:
    """Keep-alive connections that each send the next request when they have the answer to the last."""

    def __init__(self, url: str, connections: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        body = b"x" * 256
        head = f"POST {parts.path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        address = (parts.hostname, parts.port or 80)
        self._sockets = [socket.create_connection(address) for _ in range(connections)]
        for one in self._sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, seconds: float) -> list[float]:
        """Send for so long; return the latency of every answer, in seconds. Raises RuntimeError for a non-200."""
        poll, by_number = select.epoll(), {one.fileno(): one for one in self._sockets}
        sent: dict[int, float] = {}
        for number, one in by_number.items():
            poll.register(number, select.EPOLLIN)
            sent[number] = time.perf_counter()
            one.sendall(self._request)
        latencies, end = [], time.perf_counter() + seconds
        while sent:
            for number, _ in poll.poll(10):
                answer = by_number[number].recv(65536)
                now = time.perf_counter()
                latencies.append(now - sent.pop(number))
                if b" 200 " not in answer[:16]:
                    raise RuntimeError(f"no 200: {answer[:200]!r}")
                if now < end:
                    sent[number] = time.perf_counter()
                    by_number[number].sendall(self._request)
        return latencies

    def close(self) -> None:
        """Close the connections."""
        for one in self._sockets:
            one.close()


@contextmanager
def serving(command: str, instances: int, **settings: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield the invocation URL of an endpoint of process instances, and the URLs of its instances."""
    with tempfile.TemporaryDirectory() as folder:
        settings |= {"state_dir": folder, "cache_dir": folder, "instances": "process"}
        process = (sys.executable, "-S", str(FOLDER / command))
        with local_aws.start(process_command=process, **settings) as aws:
            sagemaker = aws.client("sagemaker")
            sagemaker.create_model(ModelName="bench", PrimaryContainer={"Image": "bench"})
            variant = {
                "VariantName": "AllTraffic",
                "ModelName": "bench",
                "InitialInstanceCount": instances,
                "InstanceType": "ml.m5.large",
                "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            }
            sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])
            sagemaker.create_endpoint(EndpointName="bench", EndpointConfigName="bench")
            waiter = sagemaker.get_waiter("endpoint_in_service")
            waiter.wait(EndpointName="bench", WaiterConfig={"Delay": 1})
            fleet = aws.status()["endpoints"][0]["fleets"][0]
            urls = [f"{instance['url']}/invocations" for instance in fleet["instances"]]
            yield f"{aws.url}/endpoints/bench/invocations", urls


@contextmanager
def nginx_over(urls: list[str]) -> Iterator[str]:
    """Yield the URL of an nginx that balances over the same instances with least_conn."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    servers = "".join(f"server {urlsplit(url).netloc};" for url in urls)
    blocks = (
        f"upstream fleet {{ least_conn; {servers} keepalive 32; keepalive_requests 1000000000; }}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://fleet;"
        ' proxy_http_version 1.1; proxy_set_header Connection ""; } }'
    )
    start = f"from benchmarks.trivial_serve import run_nginx; run_nginx({blocks!r})"
    process = subprocess.Popen([sys.executable, "-c", start], cwd=FOLDER.parent)
    try:
        _wait_for_port(port)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_port(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


def compare_router(seconds: float) -> dict[str, str]:
    """Router, nginx and the bare instance in turns: rates at 16 connections, latencies at one."""
    rates: dict[str, list[float]] = {"router": [], "nginx": []}
    medians: dict[str, list[float]] = {"router": [], "nginx": [], "instance": []}
    with serving("trivial_serve.py", 2, cpu_scale=1) as (url, urls), nginx_over(urls) as proxy:
        named = {"router": url, "nginx": proxy, "instance": urls[0]}
        for _ in range(ROUNDS):
            for name in rates:
                rates[name].append(len(_measured(named[name], 16, seconds)) / seconds)
            for name in medians:
                medians[name].append(statistics.median(_measured(named[name], 1, seconds / 2)))
    router, nginx = (statistics.median(rates[name]) for name in ("router", "nginx"))
    p50 = {name: statistics.median(values) * 1000 for name, values in medians.items()}
    return {
        "router, 16 connections": f"{router:,.0f} requests/s",
        "nginx `least_conn`, same instances": f"{nginx:,.0f} requests/s",
        "router / nginx (wanted: 7 % or more)": f"{router / nginx:.1%}",
        "p50 at one connection: instance, nginx, router": " · ".join(f"{v:.3f} ms" for v in _order(p50)),
        "p50 added by the router (wanted: 0.5 ms or less)": f"{p50['router'] - p50['instance']:.3f} ms",
    }


def _order(p50: dict[str, float]) -> list[float]:
    return [p50[name] for name in ("instance", "nginx", "router")]


def _measured(url: str, connections: int, seconds: float) -> list[float]:
    client = Client(url, connections)
    try:
        return client.run(seconds)
    finally:
        client.close()


def compare_shares(seconds: float) -> dict[str, str]:
    """Throughput of one instance by its share of a CPU; ml.m5.large has two vCPUs."""
    rates = {}
    for share in SHARES:
        with serving("burning_serve.py", 1, cpu_scale=share / 2) as (url, _):
            _measured(url, 4, 1.0)  # spends what the first period of the quota still has
            rates[share] = len(_measured(url, 4, seconds)) / seconds
    unit = statistics.median(rate / share for share, rate in rates.items())
    return {
        f"CPU-bound instance at {share:.0%} of a CPU": f"{rate:.1f} requests/s, "
        f"{rate / share / unit - 1:+.0%} from proportional"
        for share, rate in rates.items()
    }


def rest() -> dict[str, str]:
    """Time until `up` is ready; memory and CPU while nothing happens."""
    times, figures = [], ("", "")
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            with local_aws.start(instances="process", state_dir=folder, cache_dir=folder) as aws:
                times.append(time.monotonic() - began)
                process = psutil.Process(aws.pid)
                time.sleep(2)
                process.cpu_percent()
                time.sleep(8)
                cpu = process.cpu_percent()
                figures = (f"{process.memory_info().rss / 1e6:.0f} MB", f"{cpu:.1f} % of one core")
    return {
        "`up` ready (wanted: under 2 s)": f"{statistics.median(times):.2f} s",
        "idle memory (wanted: under 200 MB)": figures[0],
        "idle CPU (wanted: under 2 %)": figures[1],
    }


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_aws", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    seconds = parser.parse_args().seconds
    before = os.getloadavg()[0]
    rows = compare_router(seconds) | compare_shares(seconds) | rest()
    print(f"Load average of the machine before: {before:.1f} on {os.cpu_count()} CPUs.\n")
    print("| | |\n|---|---|")
    for name, figure in rows.items():
        print(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
