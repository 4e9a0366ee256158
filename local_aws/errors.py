"""The one way in which an API of this AWS says no."""


class AwsError(Exception):
    """A refusal in AWS's own form: the front door answers `{"__type": code, "message": message}`.

    `status` is the HTTP status; AWS's JSON services use 400 for nearly every refusal.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status
