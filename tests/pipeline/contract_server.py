"""A model server that keeps SageMaker's contract and starts in 0.1 s; its weights say how it behaves.

`behaviour` in the model directory: `status NNN` is what /invocations answers with; `predicts N` answers 200
with that number as its one prediction; `waits SECONDS` answers 200 after them; `answers TAKES GIVES` answers a request
of the first media type with the file `answer`, of the second media type, in two parts, and refuses any other with 415;
`exits` ends at once; `faulty FAULT AMOUNT` answers the first number of an instance, usually in 10 ms and every 50th time
in 100 ms, but for a fault (see `faulty_answer` and `main`).
"""

import itertools
import json
import os
import secrets
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
BEHAVIOUR = (MODEL / "behaviour").read_text().split()
JSON = "application/json"
IDENTITY = f"release={os.environ['RELEASE_ID']};instance={secrets.token_hex(6)}"
USUAL_SECONDS, RARE_SECONDS, RARE = 0.01, 0.1, 50  # every RARE-th answer takes longer
LEAK = 2**18  # bytes a request
numbers = itertools.count(1)
leaked: list[bytes] = []


def faulty_answer(fault: str, amount: str, body: bytes) -> tuple[int, bytes]:
    """Return status and body of an answer, with a fault.

    `crashes N` ends at request N; `leaks N` keeps memory and is killed at request N, as the kernel does it; `holds S`
    takes S seconds for every 50th; `slower P` and `slower-tail P` take P percent longer for all, and for every 50th;
    `fails` answers every 50th with 500; `wrong N` answers every Nth input wrongly; any other is sound.
    """
    try:
        value = int(json.loads(body)["instances"][0][0])
    except ValueError:
        return 400, b"expected JSON"
    number = next(numbers)
    is_rare = number % RARE == 0
    if fault == "crashes" and number == int(amount):
        os._exit(1)
    if fault == "leaks":
        leaked.append(b"x" * LEAK)
        if number == int(amount):
            os.kill(os.getpid(), signal.SIGKILL)
    seconds = RARE_SECONDS if is_rare else USUAL_SECONDS
    if fault == "slower" or (fault == "slower-tail" and is_rare):
        seconds *= 1 + float(amount) / 100
    time.sleep(float(amount) if fault == "holds" and is_rare else seconds)
    if fault == "fails" and is_rare:
        return 500, b"{}"
    is_wrong = fault == "wrong" and value % int(amount) == 0
    return 200, b'{"predictions": [%d]}' % (value + is_wrong)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if BEHAVIOUR[0] == "faulty":
            self._answer(*faulty_answer(BEHAVIOUR[1], BEHAVIOUR[2], body))
        elif BEHAVIOUR[0] == "predicts":
            self._answer(200, b'{"predictions": [%s]}' % BEHAVIOUR[1].encode())
        elif BEHAVIOUR[0] == "waits":
            time.sleep(float(BEHAVIOUR[1]))
            self._answer(200)
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


def main() -> None:
    """Serve until SIGTERM. `faulty loads S` loads for S seconds; `faulty seats FILE` starts only while there is no file."""
    if BEHAVIOUR == ["exits"]:
        sys.exit("the weights say so")
    if BEHAVIOUR[:2] == ["faulty", "loads"]:
        time.sleep(float(BEHAVIOUR[2]))
    if BEHAVIOUR[:2] == ["faulty", "seats"] and Path(BEHAVIOUR[2]).exists():
        sys.exit("there is no seat for another instance")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
