"""The project's own application, its network in numpy, on a small server, that gets into trouble when a file says so.

TROUBLE names the file: `slow N` lets every answer wait N seconds, `flaky N` breaks every Nth answer.
"""

import itertools
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "container" / "src"))
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from werkzeug.serving import WSGIRequestHandler, make_server

from digits.handler import DigitsHandler
from predictor import create_app
from serving.platform import identity, limits, paths
from tests.pipeline import digits_without_torch

TROUBLE = Path(os.environ["TROUBLE"])
app = create_app(
    DigitsHandler(digits_without_torch.load(paths.model_dir(paths.base_dir()))),
    identity.from_environ(os.environ),
    limits.from_environ(os.environ),
)
numbers = itertools.count(1)


def troubled(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    kind, _, amount = (TROUBLE.read_text() if TROUBLE.exists() else "").partition(" ")
    is_question = environ["PATH_INFO"] == "/invocations"
    if kind == "slow" and is_question:
        time.sleep(float(amount))
    if kind == "flaky" and is_question and next(numbers) % int(amount) == 0:
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("500 INTERNAL SERVER ERROR", [("Content-Length", "7")])
        return [b"trouble"]
    answer: Iterable[bytes] = app(environ, start_response)
    return answer


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Be quiet."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    make_server("127.0.0.1", port, troubled, threaded=True, request_handler=Handler).serve_forever()
