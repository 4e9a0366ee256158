"""A pytest plugin for moto's own tests in server mode, run far from ours: it imports nothing of this repository.

Each test begins with an AWS of its own, for what moto's tests rely on, `POST /moto-api/reset`, is not AWS's. An AWS that
has refused every call of the tests before is as good as new. All are on one port, because moto notes the address of its
server when a test module is imported.
"""

import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from botocore.client import BaseClient

PORT = os.environ["TEST_SERVER_MODE_ENDPOINT"].rpartition(":")[2]


class _Time:
    """Stands in for freezegun: in server mode it would stop the client's time alone."""

    def __call__(self, test: Any) -> Any:
        return test

    def __enter__(self) -> "_Time":
        return self

    def __exit__(self, *_: object) -> None:
        return None


class _Aws:
    """The `local_aws up` on the port, and whether it has done anything yet."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.is_used = False

    def renew(self) -> None:
        """Have one that has done nothing."""
        if self.is_used:
            self.stop()
        if self._process is None:
            words = [sys.executable, "-m", "local_aws", "up", "--with-parent", "--port", PORT]
            pipe, where = subprocess.PIPE, os.environ["REPOSITORY"]
            self._process = subprocess.Popen(words, cwd=where, stdin=pipe, stdout=pipe, text=True)
            assert self._process.stdout is not None
            assert any("AWS_DEFAULT_REGION" in line for line in self._process.stdout), "it does not come up"

    def stop(self) -> None:
        """End it; it ends with its standard input."""
        if self._process is not None:
            self._process.communicate(timeout=60)
        self._process, self.is_used = None, False


AWS = _Aws()


def pytest_configure() -> None:
    stand_in = ModuleType("freezegun")
    stand_in.freeze_time = lambda *_, **__: _Time()  # type: ignore[attr-defined]
    sys.modules["freezegun"] = stand_in
    make_call = BaseClient._make_api_call

    def watched(self: BaseClient, *args: Any) -> Any:
        answer = make_call(self, *args)
        AWS.is_used = True
        return answer

    BaseClient._make_api_call = watched


@pytest.fixture(autouse=True)
def _aws_for_the_test() -> None:
    AWS.renew()


def pytest_unconfigure() -> None:
    AWS.stop()
