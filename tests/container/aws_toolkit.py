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
# What TorchServe does for a worker and for a request: the context is the worker's, its request processors are the
# request's. Each archive has a process of its own, forked when PyTorch is imported.
_DRIVER = """
import base64, json, os, sys
sys.path.insert(0, sys.argv[1])
from ts.context import Context, RequestProcessor
from sagemaker_pytorch_serving_container.handler_service import HandlerService

def answer(job):
    os.environ.update(job["environment"])
    os.chdir(job["model_dir"])
    sys.path[:0] = [job["model_dir"] + "/code", job["model_dir"]]
    context = Context("model", job["model_dir"], None, 1, None, "0.12.0")
    service = HandlerService()
    service.initialize(context)
    for request in job["requests"]:
        context.request_ids = {0: "an-id"}
        context.request_processor = [RequestProcessor(request["headers"])]
        [body] = service.handle([{"body": base64.b64decode(request["body"])}], context)
        if not isinstance(body, (bytes, bytearray)):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        status, headers = context.get_response_status(0)[0], context.get_response_headers(0)
        yield {"status": status, "headers": headers, "body": base64.b64encode(body).decode()}

for job in json.load(sys.stdin):
    if os.fork() == 0:
        with open(job["result"], "w") as result:
            json.dump(list(answer(job)), result)
        os._exit(0)
    os.wait()
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


@dataclass(frozen=True)
class Job:
    """An archive, the requests to it, and environment variables."""

    model_dir: Path
    requests: Sequence[Request]
    environment: Mapping[str, str] = field(default_factory=dict)


def answers(jobs: Sequence[Job]) -> list[list[ToolkitAnswer]]:
    """Serve each archive by AWS's toolkit, and return its answers."""
    with tempfile.TemporaryDirectory(prefix="aws-answers-") as scratch:
        results = [Path(scratch, str(number)) for number in range(len(jobs))]
        done = subprocess.run(
            [sys.executable, "-c", _DRIVER, str(_installed())],
            input=json.dumps([_job(job, result) for job, result in zip(jobs, results, strict=True)]),
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        missing = [
            str(job.model_dir) for job, result in zip(jobs, results, strict=True) if not result.exists()
        ]
        assert done.returncode == 0, done.stderr[-3000:]
        assert not missing, f"{missing}: {done.stderr[-3000:]}"
        return [[_answer(one) for one in json.loads(result.read_text())] for result in results]


def _job(job: Job, result: Path) -> dict[str, Any]:
    requests = [
        {"headers": dict(one.headers), "body": base64.b64encode(one.body).decode()} for one in job.requests
    ]
    return {
        "model_dir": str(job.model_dir),
        "environment": dict(job.environment),
        "requests": requests,
        "result": str(result),
    }


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
