"""One invocation as it is counted and logged: what became of it, and where its time went."""

from dataclasses import dataclass, field
from time import perf_counter

PARTS = ("queue", "decode", "predict", "encode")


@dataclass(slots=True)
class Invocation:
    """Filled in while a request is answered.

    `batch` is how many requests were predicted at once; the waiting for one another is in `predict`.
    """

    inference_id: str = ""
    way: str = "flask"  # or "lane"
    waited: float = 0.0  # seconds since nginx sent it on, when this record was begun
    status: int = 500
    instances: int = 0
    batch: int = 1
    error: str = ""  # the sentence of a refusal
    seconds: list[float] = field(default_factory=list)  # of each of PARTS that has ended
    _last: float = field(default_factory=perf_counter)

    def lap(self) -> None:
        """The part that was under way has ended, the next one begins."""
        now = perf_counter()
        spent, self._last = now - self._last, now
        self.seconds.append(spent if self.seconds else spent + self.waited)

    def end(self) -> None:
        """The answer, or the refusal, is ready."""
        if len(self.seconds) < len(PARTS):
            self.lap()

    @property
    def total(self) -> float:
        """Seconds from when nginx sent it on until its answer was ready."""
        return sum(self.seconds)
