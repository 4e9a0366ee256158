"""A model server that keeps SageMaker's contract and starts in 0.1 s; its weights say how it behaves.

`behaviour` in the model directory: `status NNN` is what /invocations answers with; `predicts N` answers 200
with that number as its one prediction; `answers TAKES GIVES` answers a request of the first media type with the file
`answer`, of the second media type, in two parts, and refuses any other with 415; `exits` ends at once.
"""

import os
import secrets
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
BEHAVIOUR = (MODEL / "behaviour").read_text().split()
JSON = "application/json"
IDENTITY = f"release={os.environ['RELEASE_ID']};instance={secrets.token_hex(6)}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if BEHAVIOUR[0] == "predicts":
            self._answer(200, b'{"predictions": [%s]}' % BEHAVIOUR[1].encode())
        elif BEHAVIOUR[0] == "answers" and self.headers["Content-Type"] != BEHAVIOUR[1]:
            self._answer(415, b"expected %s" % BEHAVIOUR[1].encode())
        elif BEHAVIOUR[0] == "answers":
            self._answer(200, (MODEL / "answer").read_bytes(), BEHAVIOUR[2])
        else:
            self._answer(int(BEHAVIOUR[1]))

    def _answer(self, status: int, body: bytes = b"{}", content_type: str = JSON) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", IDENTITY)
        self.end_headers()
        self.wfile.write(body[:1])
        self.wfile.flush()
        self.wfile.write(body[1:])

    def log_message(self, *_: object) -> None:
        """Be quiet."""


if __name__ == "__main__":
    if BEHAVIOUR == ["exits"]:
        sys.exit("the weights say so")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
