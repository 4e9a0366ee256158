"""The command line. Only `main` turns errors into exit codes; anything unexpected keeps its traceback.

Nothing heavy is imported until a command runs, so that --help answers at once.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from pipeline.commands.options import OFFLINE, parser
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.commands.steps import Order
    from pipeline.config import Environment

PRINTS_JSON_ITSELF = frozenset({"preflight", "plan", "status", "config"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or the exit code of the error that stopped it."""
    args = parser().parse_args(argv)
    try:
        _run(args)
    except PipelineError as error:
        _tell(error, as_json=args.as_json)
        return error.exit_code
    return 0


def _tell(error: PipelineError, *, as_json: bool) -> None:
    """Say what went wrong, to a person, to a program that asked for JSON, and to GitHub where it runs."""
    name = type(error).__name__
    print(f"{name}: {error}", file=sys.stderr)
    if as_json:
        told = {"error": name, "exit_code": error.exit_code, "what": error.what, "fix": error.fix}
        print(json.dumps(told, indent=2))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from pipeline.commands.github import annotation

        print(annotation(error), file=sys.stderr if as_json else sys.stdout)


def _aside(text: str) -> None:
    """Say it where it does not disturb who reads standard output."""
    print(text, file=sys.stderr)


def _run(args: argparse.Namespace) -> None:
    if args.command in OFFLINE:
        from pipeline.commands.config_command import show_config

        show_config(args.view, args.env, args.config, print, as_json=args.as_json)
        return
    order = _order(args)
    from pipeline.commands import steps

    command = "plan" if args.command == "deploy" and args.dry_run else args.command
    speaks_itself = command in PRINTS_JSON_ITSELF or not args.as_json
    record = steps.run(command, order if speaks_itself else replace(order, say=_aside))
    if not speaks_itself:
        print(json.dumps(record.result, indent=2))


def _environment(args: argparse.Namespace) -> "Environment":
    """The environment that was named, else the first; with another strategy, if one was asked for."""
    from pipeline.config import environments, load_environment, with_strategy

    name = args.env or next(iter(environments(args.config)), "")
    env = load_environment(name, args.config)
    if getattr(args, "strategy", "own") != "own":
        env = with_strategy(env, args.strategy.replace("-", "_"))
    return env


def _order(args: argparse.Namespace) -> "Order":
    """What was asked for, by the options that this command has; Order knows what holds without the others."""
    env = _environment(args)
    from pipeline.aws import AwsClient
    from pipeline.commands.steps import Order

    known = {field.name for field in fields(Order)} - {"env"}
    asked = {name: value for name, value in vars(args).items() if name in known}
    return Order(env=env, aws=AwsClient(env.aws), every_environment=args.env is None, **asked)
