"""Options that several commands share. Nothing heavy is imported: `--help` and completion answer at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

STRATEGIES = ("own", "all-at-once", "canary", "linear", "rolling")
FOLDER = click.Path(file_okay=False, path_type=Path)
F = TypeVar("F", bound=Callable[..., Any])


def environment_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of an environment: a file NAME.yaml in the folder that --config names."""
    folder = Path(ctx.params.get("config") or "config")
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem.startswith(incomplete))


def environment(
    flag: str = "--env", *, required: bool = True, meaning: str = "The environment: config/NAME.yaml."
) -> Callable[[F], F]:
    """Add the option that names the environment. Without it, where it may be left out, `env` is None."""
    return click.option(
        flag,
        "env",
        metavar="NAME",
        required=required,
        shell_complete=environment_names,
        help=meaning,
    )


build = click.option(
    "--build",
    type=FOLDER,
    metavar="DIR",
    default="build",
    show_default=True,
    help="Folder in which steps leave files.",
)
config = click.option(
    "--config",
    type=FOLDER,
    metavar="DIR",
    default="config",
    show_default=True,
    help="Folder of the environments' files.",
)
as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as JSON on standard output, and log to standard error.",
)
log = click.option(
    "--log",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="PIPELINE_LOG",
    show_default=True,
    show_envvar=True,
    help="Log for people, or as one JSON object a line.",
)
release = click.option(
    "--release",
    metavar="RELEASE",
    help="The release: path of its manifest, or id of a published one.  [default: BUILD/release.json]",
)
strategy = click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default="own",
    show_default=True,
    help="How traffic moves to the new fleet; own: by deployment.strategy of the config.",
)
account = environment(
    required=False,
    meaning="An environment of the account: config/NAME.yaml.  [default: the first in --config]",
)
weights = click.option(
    "--weights",
    metavar="SOURCE",
    help="DIR, FILE.tar.gz, s3://… or training-job/NAME, instead of `weights:` in the config.",
)
golden = click.option(
    "--golden",
    metavar="FILE",
    help="Golden requests with their answers, instead of `golden:` in the config or the set in the archive.",
)
packages = click.option(
    "--packages",
    metavar="FILE",
    help="Requirements that the model's program needs beside the image's packages, instead of `packages:` in the config.",
)


def building(work: F) -> F:
    """Add the options of a command that builds the image."""
    no_engine = click.option(
        "--no-engine",
        "engine",
        flag_value=False,
        default=True,
        help="Build no image: use the hash of its source as its digest, and record that in the release.",
    )
    no_sbom = click.option(
        "--no-sbom",
        "sbom",
        flag_value=False,
        default=True,
        help="Do not list the packages of a new image (saves half a minute), and record that in the release.",
    )
    return no_engine(no_sbom(work))


def measuring(work: F) -> F:
    """Add the options of a command that verifies a release."""
    profile = click.option(
        "--profile",
        type=click.Choice(["quick", "full"]),
        default="full",
        show_default=True,
        help="How long and how hard to measure.",
    )
    again = click.option("--again", is_flag=True, help="Measure even if this release has passed already.")
    shape = click.option(
        "--shape", metavar="NAME", help="Load and judge this shape of config/shapes as well."
    )
    return profile(again(shape(work)))
