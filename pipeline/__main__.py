"""`python -m pipeline COMMAND --env NAME`."""

import os
import signal
import sys
from collections.abc import Sequence

import click

from pipeline import commands
from pipeline.cli.folder import CommandFolder
from pipeline.cli.interrupted import INTERRUPTED, RESUME, TERMINATED, Interrupted

PROGRAM = "python -m pipeline"
COMPLETE = "_PIPELINE_COMPLETE"  # set by the shell when it asks for completions
PIPELINE = CommandFolder(commands, help="Take one release from a push to production.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or the exit code of the error that stopped it."""
    if asked := os.environ.get(COMPLETE):
        from pipeline.cli.completion import answer

        return answer(PIPELINE, PROGRAM, COMPLETE, asked)
    try:
        return PIPELINE.main(argv, PROGRAM, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Interrupted as error:
        click.echo(error.sentence, err=True)
        return error.code
    except click.Abort:
        click.echo(f"Interrupted. {RESUME}", err=True)
        return INTERRUPTED


if __name__ == "__main__":
    # SIGTERM unwinds like Ctrl-C: load tests and measuring endpoints that a step has started are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    sys.exit(main())
