"""AWS's own PyTorch inference toolkit, in a process of its own, on TorchServe's context: what it answers is right."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.debian_13 import CACHE

PINS = Path(__file__).with_name("aws_toolkit.txt")
# What TorchServe does for a request: the context is the worker's, its request processors are the request's.
_DRIVER = """
import base64, json, sys
sys.path[:0] = [sys.argv[1] + "/code", sys.argv[1], sys.argv[2]]
from ts.context import Context, RequestProcessor
from sagemaker_pytorch_serving_container.handler_service import HandlerService

context = Context("model", sys.argv[1], None, 1, None, "0.12.0")
service = HandlerService()
service.initialize(context)
for line in sys.stdin:
    request = json.loads(line)
    context.request_ids = {0: "an-id"}
    context.request_processor = [RequestProcessor(request["headers"])]
    [body] = service.handle([{"body": base64.b64decode(request["body"])}], context)
    if not isinstance(body, (bytes, bytearray)):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    print("ANSWER" + json.dumps({
        "status": context.get_response_status(0)[0],
        "headers": context.get_response_headers(0),
        "body": base64.b64encode(body).decode(),
    }), flush=True)
"""


@dataclass(frozen=True)
class Request:
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class ToolkitAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def answers(model_dir: Path, requests: Sequence[Request], **environment: str) -> list[ToolkitAnswer]:
    """Serve the archive in `model_dir` by AWS's toolkit and return its answers."""
    lines = [
        json.dumps({"headers": dict(one.headers), "body": base64.b64encode(one.body).decode()})
        for one in requests
    ]
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(model_dir), str(_installed())],
        input="\n".join(lines),
        cwd=model_dir,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert len(found) == len(requests), done.stdout + done.stderr[-3000:]
    return [_answer(one) for one in found]


def _answer(found: dict[str, Any]) -> ToolkitAnswer:
    return ToolkitAnswer(found["status"], found["headers"], base64.b64decode(found["body"]))


def _installed() -> Path:
    """Return the folder of the pinned packages, installed once on this machine."""
    place = CACHE / f"aws-toolkit-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]}"
    if place.is_dir():
        return place
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="aws-toolkit-") as scratch:
        options = ["--quiet", "--no-deps", "--no-compile", "--require-hashes", "--target", f"{scratch}/site"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "-r", str(PINS)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"AWS's toolkit could not be installed: {done.stderr[-2000:]}"
        Path(scratch, "site").rename(place)
    return place
