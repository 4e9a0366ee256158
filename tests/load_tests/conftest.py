"""An endpoint to load, in this process, and the golden set that belongs to it."""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.load_tests.fake_sagemaker import FakeSageMaker, golden_set, serve


@pytest.fixture
def sagemaker() -> Iterator[FakeSageMaker]:
    service, done = FakeSageMaker(), threading.Event()
    ready: Future[None] = Future()
    thread = threading.Thread(target=serve, args=(service, ready, done))
    thread.start()
    ready.result(timeout=10)
    yield service
    done.set()
    thread.join(timeout=10)


@pytest.fixture
def aws_environment(sagemaker: FakeSageMaker) -> dict[str, str]:
    return os.environ | {
        "AWS_ENDPOINT_URL": sagemaker.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


@pytest.fixture
def golden_file(tmp_path: Path) -> Path:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(golden_set()))
    return path
