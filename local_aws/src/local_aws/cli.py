"""The command line: up, run, status, fault and instance-type."""

import argparse
import asyncio
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from local_aws.assembly import LocalAws
from local_aws.errors import AwsError
from local_aws.faults import KINDS
from local_aws.instances.availability import UnavailableError
from local_aws.instances.instance_types import instance_type
from local_aws.registry import RegistryError
from local_aws.settings import Settings
from local_aws.start import ask, environment
from local_aws.status import table

IAM = {
    "off": "IAM is off: whoever is known may do everything (LOCAL_AWS_IAM=enforce authorises each call).",
    "enforce": "IAM is enforced: each call is signed, and authorised by the policies of its caller.",
}
"""The first line of `up` says how calls are authorised."""
REFRESH_SECONDS = 1.0
CLEAR_SCREEN = "\x1b[H\x1b[2J"
AIMS = ("kind", "endpoint", "fleet", "operation", "amount", "vulnerability", "severity", "times")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "status":
            return _status(as_json=arguments.json, every=arguments.watch)
        if arguments.command == "fault":
            return _fault(arguments)
        if arguments.command == "instance-type":
            print(json.dumps(asdict(instance_type(arguments.name))))
            return 0
        settings = Settings.from_environ(os.environ)
        if arguments.command == "up":
            return asyncio.run(_up(settings, arguments.port, with_parent=arguments.with_parent))
        return asyncio.run(_run(settings, arguments.words))
    except (ValueError, OSError, AwsError, UnavailableError, RegistryError) as error:
        print(f"local-aws: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local-aws", description="AWS on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="serve until Ctrl-C, and print the exports that point clients here")
    up.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any free one)")
    up.add_argument("--with-parent", action="store_true", help="also end when standard input ends")
    run = commands.add_parser("run", help="run a command against an AWS of its own; exit with its exit code")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    status = commands.add_parser("status", help="show what the AWS at AWS_ENDPOINT_URL is doing")
    shape = status.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="everything, as JSON")
    shape.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=REFRESH_SECONDS,
        metavar="SECONDS",
        help=f"show it again every SECONDS (default: {REFRESH_SECONDS:g}) until Ctrl-C",
    )
    fault = commands.add_parser("fault", help="make something fail at the AWS at AWS_ENDPOINT_URL")
    fault.add_argument(
        "kind",
        choices=(*KINDS, "list", "off"),
        help="the kind of fault; `list` shows and `off` ends those that are on",
    )
    fault.add_argument("id", nargs="?", default="all", help="the fault to switch off (default: all)")
    fault.add_argument("--endpoint", help="only instances of this endpoint (default: of all)")
    fault.add_argument(
        "--fleet", choices=("old", "new"), help="only the old fleet, or the new one of a running deployment"
    )
    fault.add_argument("--operation", help="only calls of this operation (UpdateEndpoint; default: all)")
    fault.add_argument(
        "--amount", type=float, help="ms for slow, percent for errors, AWS seconds for late-metrics"
    )
    fault.add_argument("--vulnerability", help="the vulnerability that image scans find (CVE-…)")
    fault.add_argument("--severity", help="the severity of that vulnerability: CRITICAL, HIGH, …")
    fault.add_argument(
        "--times", type=int, help="the number of instances or calls to hit (default: all; crash: 1)"
    )
    known = commands.add_parser(
        "instance-type", help="print the vCPUs and the memory of an instance type, as JSON"
    )
    known.add_argument("name", help="ml.m5.large")
    return parser


@asynccontextmanager
async def _serving(settings: Settings, port: int) -> AsyncIterator[str]:
    """Serve while the block runs; yield the address. The leftovers of crashed runs are removed first."""
    aws = LocalAws(settings)
    url = await aws.start(port)
    try:
        print(f"{aws.launcher.reason} {IAM[settings.iam]}", file=sys.stderr, flush=True)
        yield url
    finally:
        await aws.stop()


async def _up(settings: Settings, port: int, *, with_parent: bool) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with _serving(settings, port) as url:
        if with_parent:  # it never writes: readable means closed
            loop.add_reader(sys.stdin.fileno(), ended.set)
        variables = environment(url, settings.time_scale)
        exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        print("\n".join(exports), flush=True)
        await ended.wait()
        loop.remove_reader(sys.stdin.fileno())
    return 0


async def _run(settings: Settings, words: Sequence[str]) -> int:
    """Run a command with an AWS of its own; return its exit code, or 128 + the signal that ended it.

    Ctrl-C reaches the command by itself (it is in the same process group); SIGTERM is passed on.
    """
    command = list(words[1:] if words[:1] == ["--"] else words)
    if not command:
        raise ValueError("run needs a command: local-aws run -- COMMAND")
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    async with _serving(settings, 0) as url:
        variables = environment(url, settings.time_scale)
        # The AWS CLI that is installed beside this Python is found too, after all that PATH names.
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
        child = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PATH": path, **variables})
        loop.remove_signal_handler(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGTERM, child.terminate)
        if ended.is_set():
            child.terminate()
        code = await child.wait()
    return code if code >= 0 else 128 - code


def _endpoint_url() -> str:
    url = os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        raise ValueError("AWS_ENDPOINT_URL is not set: paste the exports that `local-aws up` printed")
    return url


def _status(*, as_json: bool, every: float | None) -> int:
    """Show the status once, or every so many real seconds until Ctrl-C; a terminal is cleared in between."""
    url = _endpoint_url()
    try:
        while every is not None:
            shown = table(ask(url, "status"))
            print(f"{CLEAR_SCREEN}{shown}" if sys.stdout.isatty() else f"{shown}\n", flush=True)
            time.sleep(every)
    except KeyboardInterrupt:
        return 0
    status = ask(url, "status")
    print(json.dumps(status, indent=2) if as_json else table(status))
    return 0


def _fault(arguments: argparse.Namespace) -> int:
    """Switch a fault on or off, or list them; print the faults that are on afterwards."""
    url = _endpoint_url()
    if arguments.kind == "off":
        ask(url, f"faults?id={arguments.id}", "DELETE")
    elif arguments.kind != "list":
        fault = {name: value for name, value in vars(arguments).items() if name in AIMS and value is not None}
        ask(url, "faults", "POST", fault)
    for fault in ask(url, "faults"):
        print("  ".join(f"{name}={value}" for name, value in fault.items()))
    return 0
