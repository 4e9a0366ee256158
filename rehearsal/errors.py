"""The errors of the rehearsal.

RehearsalError          a step failed: its exit code is the step's
└── MachineTooSmall     nothing was judged: this machine is too small, or too busy
"""

CANNOT_JUDGE = 75  # EX_TEMPFAIL of sysexits.h: try again later; no exit code of the pipeline


class RehearsalError(Exception):
    """The rehearsal cannot go on: `what` happened, and how to `fix` it."""

    def __init__(self, what: str, *, fix: str, exit_code: int = 1) -> None:
        super().__init__(f"{what}\n  fix: {fix}")
        self.exit_code = exit_code


class MachineTooSmall(RehearsalError):
    """This machine cannot judge the release. It says nothing about the release."""

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(f"This machine is too busy or too small: {what}.", fix=fix, exit_code=CANNOT_JUDGE)
