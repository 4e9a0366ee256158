"""The commands and their options, each with its help. Nothing heavy is imported, so that --help answers at once.

An option's value has the name that `steps.Order` has for it.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

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
VERIFIES = frozenset({"verify", "release"})
KNOWS_EVERY_ENVIRONMENT = frozenset({"status", "config", "bootstrap", "gc"})


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
    _add_place(command, flag, required=name not in KNOWS_EVERY_ENVIRONMENT)
    for commands, add in OPTIONS:
        if name in commands:
            add(command)
    command.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="the result as JSON on standard output, words on standard error",
    )


def _add_place(command: argparse.ArgumentParser, flag: str, *, required: bool) -> None:
    """Where: the environment, and the folders that steps read and write."""
    command.add_argument(
        flag, dest="env", metavar="NAME", required=required, help="the environment: config/NAME.yaml"
    )
    command.add_argument(
        "--build", type=Path, metavar="DIR", default=Path("build"), help="where steps leave files (build)"
    )
    command.add_argument(
        "--config", type=Path, metavar="DIR", default=Path("config"), help="where environments are (config)"
    )


def _add_manifest(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--release",
        dest="manifest",
        type=Path,
        metavar="RELEASE",
        help="the release: its manifest's path (BUILD/release.json), or the id of a published one",
    )


def _add_weights(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--weights",
        metavar="SOURCE",
        help="DIR, FILE.tar.gz, s3://… or training-job/NAME instead of the config's",
    )


def _add_strategy(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="own",
        help="how the traffic moves; own: as deployment.strategy of the config says (own)",
    )


def _add_rehearsing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dry-run", action="store_true", help="same as plan")


def _add_way_back(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--to", dest="rollback_to", metavar="RELEASE", help="the release to go back to (the one before)"
    )


def _add_keeping(command: argparse.ArgumentParser) -> None:
    """What `gc` leaves alone."""
    command.add_argument("--dry-run", action="store_true", help="say what would be deleted; delete nothing")
    command.add_argument(
        "--keep", type=int, default=5, metavar="N", help="releases of each environment that stay (5)"
    )
    command.add_argument(
        "--days", type=int, default=14, metavar="N", help="what is younger stays, whatever it is (14)"
    )


def _add_confirmation(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--confirm", dest="confirmed", metavar="NAME", help="the environment's name, instead of typing it"
    )


def _add_view(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "view",
        nargs="?",
        choices=["show", "schema", "cost"],
        default="show",
        help="the effective file (show), the JSON Schema of such files, or the cost",
    )


def _add_length(command: argparse.ArgumentParser) -> None:
    command.add_argument("--newest", type=int, default=20, metavar="N", help="so many lines (20)")


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
        dest="engine",
        action="store_false",
        help="build no image: the source hash stands in for its digest, and the release says so",
    )
    command.add_argument(
        "--no-sbom",
        dest="sbom",
        action="store_false",
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


# Which commands take which options beside those that all of them take; in the order of --help.
OPTIONS: tuple[tuple[frozenset[str], Callable[[argparse.ArgumentParser], None]], ...] = (
    (NEEDS_MANIFEST, _add_manifest),
    (PUBLISHES, _add_weights),
    (BUILDS, _add_building),
    (VERIFIES, _add_measuring),
    (frozenset({"load-test"}), _add_loading),
    (MOVES_TRAFFIC, _add_strategy),
    (frozenset({"deploy"}), _add_rehearsing),
    (frozenset({"gc"}), _add_keeping),
    (frozenset({"bootstrap"}), _add_admission),
    (frozenset({"rollback"}), _add_way_back),
    (frozenset({"destroy"}), _add_confirmation),
    (frozenset({"config"}), _add_view),
    (frozenset({"audit"}), _add_length),
)
