"""The Python API: an AWS in a process of its own, for the length of a `with` block."""

import json
import os
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import IO, Any

import boto3

from local_aws.settings import CREDENTIALS, REGION, Settings, variable

STOP_SECONDS = 60
SECRET = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]


def environment(url: str, time_scale: float) -> dict[str, str]:
    """Return the environment variables by which a client finds this AWS and its time scale."""
    return {"AWS_ENDPOINT_URL": url, "AWS_SECONDS_PER_SECOND": f"{time_scale:g}", **CREDENTIALS}


def ask(url: str, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
    """Call the AWS's own API at `url`: `status` or `faults`. Raises OSError when it fails."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_local_aws/{path}", data, method=method)  # noqa: S310 - ours
    try:
        with direct.open(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            answer = error.read().decode(errors="replace")
        raise OSError(f"{url} answers {error.code}: {answer[:500]}") from error


@dataclass(frozen=True)
class Running:
    """A local AWS that serves."""

    url: str
    pid: int
    environ: dict[str, str]
    """Variables for child processes."""

    def client(self, service: str, *, account: str | None = None, **options: Any) -> Any:
        """Make a boto3 client of this AWS, with the exported credentials or as an account's administrator."""
        keys = {} if account is None else {"aws_access_key_id": account, "aws_secret_access_key": SECRET}
        return _session().client(service, endpoint_url=self.url, **keys, **options)

    def status(self) -> dict[str, Any]:
        """Describe endpoints, fleets, weights, instances, alarms, activities and raw counts."""
        status: dict[str, Any] = ask(self.url, "status")
        return status

    @contextmanager
    def fault(self, kind: str, **aim: Any) -> Iterator[dict[str, Any]]:
        """Switch a fault on for the length of the block; kinds and aims are those of faults.py.

        Raises OSError with the reason for an invalid fault.
        """
        fault = ask(self.url, "faults", "POST", {"kind": kind, **aim})
        try:
            yield fault
        finally:
            ask(self.url, f"faults?id={fault['id']}", "DELETE")


@cache
def _session() -> Any:
    """One session for all clients: it reads a service's model once."""
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )


@contextmanager
def start(**settings: object) -> Iterator[Running]:
    """Run `python -m local_aws up` while the block lasts; settings by their lower-case names.

    Raises ValueError for a setting that does not exist, RuntimeError when it does not come up. If this
    process dies, its AWS ends too, and leaves nothing behind.
    """
    environ = {**os.environ, **_variables(settings)}
    process = subprocess.Popen(
        [sys.executable, "-m", "local_aws", "up", "--with-parent"],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        exports = _read_exports(process.stdout)
        if "AWS_ENDPOINT_URL" not in exports:
            raise RuntimeError(
                f"the local AWS did not start (exit code {process.wait()}); its output above has the reason"
            )
        yield Running(exports["AWS_ENDPOINT_URL"], process.pid, exports)
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.stdout.close()


def _variables(settings: Mapping[str, object]) -> dict[str, str]:
    known = {field.name for field in fields(Settings)}
    unknown = sorted(settings.keys() - known)
    if unknown:
        raise ValueError(f"unknown setting {unknown[0]!r}; the settings are {', '.join(sorted(known))}")
    return {variable(name): _text(value) for name, value in settings.items()}


def _text(value: object) -> str:
    return shlex.join(value) if isinstance(value, (list, tuple)) else str(value)


def _read_exports(stdout: IO[str]) -> dict[str, str]:
    """Read the export lines of `up`; none when it ends before."""
    exports: dict[str, str] = {}
    for line in stdout:
        name, _, value = line.removeprefix("export ").strip().partition("=")
        exports[name] = shlex.split(value)[0]
        if name == "AWS_DEFAULT_REGION":
            break
    return exports
