"""The command line. Only `main` turns errors into exit codes; anything unexpected keeps its traceback.

Nothing heavy is imported until a command runs, so that --help answers at once.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import PipelineError

STEPS: Mapping[str, str] = {
    "bootstrap": "make what environments stand on: repository, bucket, role; roles for GitHub's jobs",
    "train": "train on AWS, once for each content; `weights:` chooses whose result is released",
    "publish": "image to ECR, weights to S3, one immutable release manifest of both",
    "preflight": "check all that a deployment needs, in seconds; every problem with its fix",
    "plan": "show what is live, what deploy would make of it, and each call; make none",
    "deploy": "put a release on the endpoint and wait until it is proved live",
    "autoscale": "put bounds and scaling policy in force, and read them back",
    "verify": "smoke tests, capacity, scaling: evidence with a verdict for every gate",
    "load-test": "load what is live in a shape of config/shapes, and judge it by the promise to clients",
    "promote": "deploy, autoscale and smoke-test a release that passed in the environment before",
    "rollback": "put the previous release of the environment, or any named one, back",
    "status": "what is live where: release, fleet, scaling, alarms",
    "destroy": "delete what one environment alone has, after its name was typed",
    "gc": "delete models, configs, images and weights that no release worth keeping needs",
    "unlock": "break the lock that a dead run has left on an environment; say whose it was",
    "audit": "who did what in an environment, when, with which release, and how it ended",
    "release": "all steps in their order, up to an environment",
}
OFFLINE: Mapping[str, str] = {
    "config": "show an environment as it is understood, its schema, or what it costs by the hour",
}
NEEDS_MANIFEST = frozenset({"preflight", "plan", "deploy", "autoscale", "verify", "promote"})
PUBLISHES = frozenset({"publish", "release"})
BUILDS = PUBLISHES | {"train"}
MOVES_TRAFFIC = frozenset({"preflight", "plan", "deploy", "promote", "rollback"})
STRATEGIES = ("own", "all-at-once", "canary", "linear", "rolling")
PRINTS_JSON_ITSELF = frozenset({"preflight", "plan", "status", "config"})
VERIFIES = frozenset({"verify", "release"})


def parser() -> argparse.ArgumentParser:
    """Describe every command with its options and an example."""
    top = argparse.ArgumentParser(
        prog="python -m pipeline", description="One release, from a push to production."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="STEP")
    for name, says in {**STEPS, **OFFLINE}.items():
        _add_command(commands.add_parser(name, help=says, description=says[0].upper() + says[1:] + "."), name)
    return top


def _add_command(command: argparse.ArgumentParser, name: str) -> None:
    flag = "--through" if name == "release" else "--env"
    command.epilog = f"example: python -m pipeline {name} {flag} staging"
    command.add_argument(
        flag,
        dest="env",
        metavar="NAME",
        required=name not in {"status", "config", "bootstrap", "gc"},
        help="the environment: config/NAME.yaml",
    )
    command.add_argument(
        "--build", type=Path, metavar="DIR", default=Path("build"), help="where steps leave files (build)"
    )
    command.add_argument(
        "--config", type=Path, metavar="DIR", default=Path("config"), help="where environments are (config)"
    )
    if name in NEEDS_MANIFEST:
        command.add_argument(
            "--release",
            dest="manifest",
            type=Path,
            metavar="RELEASE",
            help="the release: its manifest's path (BUILD/release.json), or the id of a published one",
        )
    if name in PUBLISHES:
        command.add_argument(
            "--weights",
            metavar="SOURCE",
            help="DIR, FILE.tar.gz, s3://… or training-job/NAME instead of the config's",
        )
    if name in BUILDS:
        _add_building(command)
    if name in VERIFIES:
        _add_measuring(command)
    if name == "load-test":
        _add_loading(command)
    if name in MOVES_TRAFFIC:
        command.add_argument(
            "--strategy",
            choices=STRATEGIES,
            default="own",
            help="how the traffic moves; own: as deployment.strategy of the config says (own)",
        )
    if name == "deploy":
        command.add_argument("--dry-run", action="store_true", help="same as plan")
    if name == "gc":
        command.add_argument(
            "--dry-run", action="store_true", help="say what would be deleted; delete nothing"
        )
        command.add_argument(
            "--keep", type=int, default=5, metavar="N", help="releases of each environment that stay (5)"
        )
        command.add_argument(
            "--days", type=int, default=14, metavar="N", help="what is younger stays, whatever it is (14)"
        )
    if name == "bootstrap":
        _add_admission(command)
    if name == "rollback":
        command.add_argument("--to", metavar="RELEASE", help="the release to go back to (the one before)")
    if name == "destroy":
        command.add_argument("--confirm", metavar="NAME", help="the environment's name, instead of typing it")
    if name == "config":
        command.add_argument(
            "view",
            nargs="?",
            choices=["show", "schema", "cost"],
            default="show",
            help="the effective file (show), the JSON Schema of such files, or the cost",
        )
    if name == "audit":
        command.add_argument("--newest", type=int, default=20, metavar="N", help="so many lines (20)")
    command.add_argument(
        "--json", action="store_true", help="the result as JSON on standard output, words on standard error"
    )


def _add_admission(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--github-repo",
        metavar="ORG/REPO",
        help="make it by CloudFormation, with a role for this repository's jobs in each environment "
        "of the account (or in --env alone)",
    )
    command.add_argument(
        "--github-ids", metavar="ORG_ID/REPO_ID", help="its numbers, which newer repositories' tokens carry"
    )
    command.add_argument("--alert-email", metavar="ADDRESS", help="who is told of alarms and of the budget")
    command.add_argument(
        "--monthly-budget", metavar="USD", type=int, help="what SageMaker may cost before somebody is told"
    )


def _add_building(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--no-engine",
        action="store_true",
        help="build no image: the source hash stands in for its digest, and the release says so",
    )
    command.add_argument(
        "--no-sbom",
        action="store_true",
        help="do not list what a new image is made of (saves half a minute), and the release says so",
    )


def _add_measuring(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--profile", choices=["quick", "full"], default="full", help="how hard to measure (full)"
    )
    command.add_argument("--again", action="store_true", help="measure anew, even what has passed already")
    command.add_argument("--shape", metavar="NAME", help="load and judge this shape of config/shapes as well")


def _add_loading(command: argparse.ArgumentParser) -> None:
    command.add_argument("--shape", metavar="NAME", default="steps", help="of config/shapes (steps)")
    command.add_argument(
        "--minutes", type=float, metavar="N", help="how long, instead of the shape's own time"
    )
    command.add_argument("--times-rate", type=float, metavar="X", default=1.0, help="multiplies its rates")
    command.add_argument(
        "--workers", type=int, metavar="N", default=1, help="processes that share the load (1)"
    )
    command.add_argument(
        "--share", type=int, metavar="N", help="be one of N generators: offer an N-th, and judge nothing"
    )
    command.add_argument("--at", type=float, metavar="EPOCH", help="begin then, as the other generators do")
    command.add_argument(
        "--join", type=Path, metavar="DIR", help="load nothing: join the results of generators, and judge"
    )
    command.add_argument(
        "--payloads",
        metavar="SOURCE",
        help="a golden set, a file with a body on each line, or FILE.py:FUNCTION; else the release's golden set",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or the exit code of the error that stopped it."""
    args = parser().parse_args(argv)
    try:
        _run(args)
    except PipelineError as error:
        _tell(error, as_json=args.json)
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
        from pipeline.command.github import annotation

        print(annotation(error), file=sys.stderr if as_json else sys.stdout)


def _aside(text: str) -> None:
    """Say it where it does not disturb who reads standard output."""
    print(text, file=sys.stderr)


def _run(args: argparse.Namespace) -> None:
    if args.command in OFFLINE:
        from pipeline.command.config_command import show_config

        show_config(args.view, args.env, args.config, print, as_json=args.json)
        return
    from pipeline.config import environments, load_environment, with_strategy

    name = args.env or next(iter(environments(args.config)), "")
    env = load_environment(name, args.config)
    if getattr(args, "strategy", "own") != "own":
        env = with_strategy(env, args.strategy.replace("-", "_"))

    from pipeline.aws import Aws
    from pipeline.command import steps

    order = steps.Order(
        env=env,
        aws=Aws(env),
        build=args.build,
        config=args.config,
        manifest=getattr(args, "manifest", None),
        weights=getattr(args, "weights", None),
        engine=not getattr(args, "no_engine", False),
        sbom=not getattr(args, "no_sbom", False),
        profile=getattr(args, "profile", "full"),
        again=getattr(args, "again", False),
        rollback_to=getattr(args, "to", None),
        shape=getattr(args, "shape", None),
        minutes=getattr(args, "minutes", None),
        times_rate=getattr(args, "times_rate", 1.0),
        workers=getattr(args, "workers", 1),
        payloads=getattr(args, "payloads", None),
        share=getattr(args, "share", None),
        at=getattr(args, "at", None),
        join=getattr(args, "join", None),
        confirmed=getattr(args, "confirm", None),
        as_json=getattr(args, "json", False),
        every_environment=args.env is None,
        dry_run=getattr(args, "dry_run", False),
        newest=getattr(args, "newest", 0),
        keep=getattr(args, "keep", 0),
        days=getattr(args, "days", 0),
        github_repo=getattr(args, "github_repo", None),
        github_ids=getattr(args, "github_ids", None),
        alert_email=getattr(args, "alert_email", None),
        monthly_budget=getattr(args, "monthly_budget", None),
    )
    command = "plan" if args.command == "deploy" and args.dry_run else args.command
    speaks_itself = command in PRINTS_JSON_ITSELF or not args.json
    record = steps.run(command, order if speaks_itself else replace(order, say=_aside))
    if not speaks_itself:
        print(json.dumps(record.result, indent=2))
