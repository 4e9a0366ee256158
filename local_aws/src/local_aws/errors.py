"""The one way in which an API of this AWS says no."""


class AwsError(Exception):
    """A refusal in AWS's own form: the front door answers `{"__type": code, "message": message}`.

    `status` is the HTTP status; AWS's JSON services use 400 for nearly every refusal.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class Elsewhere(Exception):
    """Raised by a service that leaves this one request to moto (a tag of a resource that is moto's, say)."""


def not_imitated(what: str) -> AwsError:
    """Say that `what` exists at AWS and is not imitated here: an error at once, never a success."""
    return AwsError("NotImplementedByLocalAws", f"{what} is not imitated by this local AWS.")


def invalid(message: str) -> AwsError:
    """Refuse a request in the words of AWS's JSON services."""
    return AwsError("ValidationException", message)
