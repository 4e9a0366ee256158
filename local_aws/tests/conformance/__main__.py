"""`make conformance ARGS="--role ARN"`: the behaviour tests against the AWS of the environment, for money.

The cost is printed first, and asked for; at the end everything is torn down, also after Ctrl-C. Never run by CI.
With AWS_ENDPOINT_URL it is a dress rehearsal against the AWS on this machine.
"""

import argparse
import contextlib
import io
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from conformance.account import AwsAccount, account_from_environment
from conformance.cost import Cost, cost_of
from conformance.image import push_image
from conformance.teardown import tear_down

FOLDER = Path(__file__).parent
TEARDOWN_FAILED = 4


class Collected:
    """A plugin of pytest that remembers what would run."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = list(session.items)


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return pytest's exit code, 2 for a refusal, 4 when something could not be torn down."""
    arguments = _parser().parse_args(argv)
    if os.environ.get("CI"):
        print("conformance: this costs money and is never run by CI (CI is set).", file=sys.stderr)
        return 2
    chosen = [str(FOLDER), *(("-k", arguments.k) if arguments.k else ())]
    try:
        account = _new_account(arguments.role, arguments.image)
    except (BotoCoreError, ClientError) as error:
        print(f"conformance: AWS cannot be asked who you are: {error}", file=sys.stderr)
        return 2
    cost = _collect(chosen)
    where = os.environ.get("AWS_ENDPOINT_URL") or "the real AWS"
    print(
        "\n".join([*cost.lines(), f"account {account.account_id}, region {account.region}, at {where}"]),
        flush=True,
    )
    if not arguments.yes and not _confirmed():
        print("Nothing was made.")
        return 2
    return _run(account, chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument(
        "--role", required=True, help="execution role of the endpoints (ARN): pulls from ECR, logs"
    )
    parser.add_argument("--image", help="the contract server in ECR (default: built and pushed for this run)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("-k", metavar="EXPRESSION", help="only these tests, as pytest selects them")
    return parser


def _new_account(role: str, image: str | None) -> AwsAccount:
    scale = float(os.environ.get("AWS_SECONDS_PER_SECOND", "1"))
    account = AwsAccount(boto3.client, scale, image or "", role, f"conformance-{secrets.token_hex(4)}")
    _ = account.account_id
    return account


def _collect(chosen: list[str]) -> Cost:
    collected = Collected()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*chosen, "--collect-only", "-q"], plugins=[collected])
    return cost_of(collected.items)


def _confirmed() -> bool:
    try:
        return input("Spend it? Type yes: ") == "yes"
    except EOFError:
        return False


def _run(account: AwsAccount, chosen: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end that is asked for tears down, too
    try:
        if not account.image:
            account = replace(account, image=push_image(account.client("ecr"), account.prefix))
        words = [sys.executable, "-m", "pytest", "-v", "--timeout", "14400", *chosen]
        return _wait_for(words, {**os.environ, **account.variables()})
    except KeyboardInterrupt:
        return int(pytest.ExitCode.INTERRUPTED)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(
                number, lambda *_: print("Tearing down first: what is left costs money.", flush=True)
            )
        print(f"Tearing down all that begins with {account.prefix} …", flush=True)
        tear_down(account_from_environment(account.variables()) or account)


def _wait_for(words: list[str], environ: dict[str, str]) -> int:
    """Run pytest in a session of its own: it gets one Ctrl-C from here, and ends its test before we tear down."""
    with subprocess.Popen(words, env=environ, start_new_session=True) as tests:
        try:
            return tests.wait()
        except KeyboardInterrupt:
            tests.send_signal(signal.SIGINT)
            return tests.wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (TimeoutError, BotoCoreError, ClientError) as error:
        print(f"conformance: not everything could be torn down: {error}", file=sys.stderr)
        sys.exit(TEARDOWN_FAILED)
