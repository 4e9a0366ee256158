"""A model server that keeps SageMaker's contract and starts in 0.1 s; its environment says how it behaves.

MODE=healthy|never-healthy|exits   /ping
STATUS=200                         what /invocations answers with
SLOW=0.0                           seconds before it answers
RELEASE=…                          named, with the process, in every answer

`POST /invocations` answers with what it was sent: body, headers, and the files of its model directory.
`POST /invocations` with the body `crash` ends the process; after `hang` pings are not answered any more; `about` tells
of user and shared memory; `wait S` is answered after S seconds, `answer N` with N bytes, `status NNN` with that status;
`stream N` with N pieces, 0.05 s apart, after which `stream N broken` breaks off, and `stream N endless` waits.
"""

import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IDENTITY = f"release={os.environ.get('RELEASE', 'none')};instance={secrets.token_hex(6)}"
MODE = os.environ.get("MODE", "healthy")
HANGING = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if HANGING.is_set():
            time.sleep(60)
        self._answer(500 if MODE == "never-healthy" else 200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(float(os.environ.get("SLOW", "0")))
        if body == b"crash":
            os._exit(1)
        if body == b"hang":
            HANGING.set()
        if body == b"about":
            shared = os.statvfs("/dev/shm")  # noqa: S108 - its size is reported
            about = {"uid": os.getuid(), "shm_bytes": shared.f_blocks * shared.f_frsize}
            self._answer(200, json.dumps(about).encode())
            return
        if body.startswith(b"wait "):
            time.sleep(float(body[5:]))
        if body.startswith(b"answer "):
            self._answer(200, b"x" * int(body[7:]))
            return
        if body.startswith(b"stream "):
            self._stream(*body.decode().split()[1:])
            return
        status = int(body[7:]) if body.startswith(b"status ") else int(os.environ.get("STATUS", "200"))
        files = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "model").glob("**/*")
        answer = {
            "body": body.decode(errors="replace")[:1000],
            "size": len(body),
            "headers": dict(self.headers),
            "model": sorted(path.name for path in files if path.is_file()),
        }
        self._answer(status, json.dumps(answer).encode())

    def _stream(self, pieces: str, end: str = "whole") -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", IDENTITY)
        self.end_headers()
        for number in range(int(pieces)):
            self.wfile.write(f"{len(f'piece {number};'):x}\r\npiece {number};\r\n".encode())
            time.sleep(0.05)
        if end == "whole":
            self.wfile.write(b"0\r\n\r\n")
        time.sleep(5 if end == "endless" else 0)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", IDENTITY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet; the start is said once."""


class Server(ThreadingHTTPServer):
    """Many connections at once."""

    request_queue_size = 512
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().server_bind()


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    if MODE == "exits":
        print("this container exits at once", flush=True)
        return 3
    server = Server(
        (os.environ.get("SERVE_HOST", "127.0.0.1"), int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler
    )
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"serving as {IDENTITY}", flush=True)
    server.serve_forever(poll_interval=0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
