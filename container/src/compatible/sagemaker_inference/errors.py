"""The toolkit's errors, and errors by which a program chooses the answer's status."""


class UnsupportedFormatError(Exception):
    """A media type that is not supported by default; answered with 500, as by AWS's container."""

    def __init__(self, content_type: str) -> None:
        super().__init__(
            f"{content_type} is not supported by default; write an input_fn that reads it, "
            "or an output_fn that writes it"
        )


class BaseInferenceToolkitError(Exception):
    """A base class for errors that answer the request with `status_code` and `message`."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        super().__init__(status_code, message, phrase)
        self.status_code = status_code
        self.message = message
        self.phrase = phrase


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """An error whose message and phrase may be left out."""

    def __init__(self, status_code: int, message: str | None = None, phrase: str | None = None) -> None:
        message = message or "Invalid Request"
        super().__init__(status_code, message, phrase or message)
