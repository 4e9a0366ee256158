"""The sentence for a step that Ctrl-C or SIGTERM has ended: what goes on at AWS, and how to resume."""

import signal

import click

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
READER_GONE = 128 + signal.SIGPIPE
UPDATE_GOES_ON = (
    "If AWS has begun to update the endpoint, it goes on, and alarms can still roll it back: "
    "`python -m pipeline status --env {env}` shows it."
)
RESUME = "Run the same command again to continue where it stopped."


class Interrupted(click.Abort):
    """A step was interrupted. `code`: the exit code of the signal."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.sentence, self.code = sentence, code


def interrupted(step: str, environment: str, goes_on: str, cause: BaseException) -> Interrupted | None:
    """Return the end of a step that was interrupted; None for any other cause.

    `goes_on`: what AWS does meanwhile, a sentence with {env} for the environment's name; empty: nothing goes on there.
    """
    code = TERMINATED if isinstance(cause, SystemExit) and cause.code == TERMINATED else None
    code = INTERRUPTED if isinstance(cause, KeyboardInterrupt) else code
    if code is None:
        return None
    meanwhile = f" {goes_on.format(env=environment)}" if goes_on else ""
    return Interrupted(f"Interrupted: {step} {environment}.{meanwhile} {RESUME}", code)
