"""Errors of this AWS's APIs."""


class AwsError(Exception):
    """A refusal in AWS's own form: the front door answers `{"__type": code, "message": message}`.

    `status` is the HTTP status; AWS's JSON services use 400 for nearly every refusal.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class LeftToMoto(Exception):
    """A request that moto shall answer (the tags of one of moto's resources, for example)."""


def not_imitated(what: str) -> AwsError:
    """Return the error for `what`, which exists at AWS and is not imitated here."""
    return AwsError("NotImplementedByLocalAws", f"{what} is not imitated by this local AWS.")


def invalid(message: str) -> AwsError:
    """Return a ValidationException in the form of AWS's JSON services."""
    return AwsError("ValidationException", message)
