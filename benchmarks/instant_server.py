"""A server that answers every request at once with a constant: nginx, or aiohttp where nginx is not installed."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 10.0
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/b;
  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{answer}'; }} }} }}
"""


@contextmanager
def instant_server(answer: str) -> Iterator[tuple[str, str]]:
    """Start a server whose every answer is the JSON text `answer`; yield its kind and URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    nginx = shutil.which("nginx")
    with _aiohttp(port, answer) if nginx is None else _nginx(nginx, port, answer):
        yield "aiohttp" if nginx is None else "nginx", f"http://127.0.0.1:{port}"


@contextmanager
def _nginx(program: str, port: int, answer: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, answer=answer))
        process = subprocess.Popen([program, "-e", "stderr", "-c", str(config)])
        try:
            _wait_for_port(port)
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _aiohttp(port: int, answer: str) -> Iterator[None]:
    from aiohttp import web

    async def respond(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=answer, content_type="application/json")

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", respond)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.to_thread(done.wait)
        await runner.cleanup()

    done = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        _wait_for_port(port)
        yield
    finally:
        done.set()
        thread.join()


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"The server did not accept connections within {START_SECONDS:g} s.")
        time.sleep(0.05)
