"""Outcome and timings of one invocation, for the metrics and the log."""

from dataclasses import dataclass, field
from time import perf_counter

PARTS = ("queue", "decode", "predict", "encode")


@dataclass(slots=True)
class Invocation:
    """A record that is filled in while a request is answered.

    `batch` is how many requests were predicted together; waiting for the others is part of `predict`.
    """

    inference_id: str = ""
    server: str = "flask"  # or "batch"
    waited: float = 0.0  # seconds between nginx sending it on and the creation of this record
    status: int = 500
    instances: int = 0
    batch: int = 1
    error: str = ""  # the sentence of a refusal
    seconds: list[float] = field(default_factory=list)  # of each of PARTS that has ended
    _last: float = field(default_factory=perf_counter)

    def lap(self) -> None:
        """End the current part and begin the next."""
        now = perf_counter()
        spent, self._last = now - self._last, now
        self.seconds.append(spent if self.seconds else spent + self.waited)

    def end(self) -> None:
        """End the last part, unless an error came before it began."""
        if len(self.seconds) < len(PARTS):
            self.lap()

    @property
    def total(self) -> float:
        """Seconds from when nginx sent the request on until its answer was ready."""
        return sum(self.seconds)
