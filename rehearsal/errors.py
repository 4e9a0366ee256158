"""The one error of the rehearsal."""


class RehearsalError(Exception):
    """The rehearsal cannot go on: `what` happened, and how to `fix` it."""

    def __init__(self, what: str, *, fix: str, exit_code: int = 1) -> None:
        super().__init__(f"{what}\n  fix: {fix}")
        self.exit_code = exit_code
