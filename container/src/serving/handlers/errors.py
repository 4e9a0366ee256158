"""The errors of a handler.

BadRequest      the caller's fault: 4xx
HandlerFailed   a function of a user's program raised: 500, or the status it chose
RefusedInput    the same, of a model that may refuse the input: 400 if it answers others
BadPrediction   the model's output cannot be sent: 500
CannotLoad      the model archive cannot be served: the start ends with the text
"""


class BadRequest(Exception):
    """A request that cannot be answered; the text tells the caller what is wrong and where."""

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class HandlerFailed(Exception):
    """An exception raised by a user's function, which is the cause; the text is for the caller."""

    def __init__(self, sentence: str, *, status: int = 500) -> None:
        super().__init__(sentence)
        self.status = status


class RefusedInput(HandlerFailed):
    """A failure of a model without a program; `refusal` tells the caller, if it was the input that failed."""

    def __init__(self, sentence: str, *, refusal: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


class BadPrediction(Exception):
    """A model output that no caller can use: a defect of the model, not of the request."""


class CannotLoad(Exception):
    """A model archive or setting that cannot be served; the text says why and how to fix it."""
