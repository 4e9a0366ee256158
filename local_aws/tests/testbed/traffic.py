"""A stream of requests to an endpoint, and its answers."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answered invocation."""

    release: str
    instance: str
    variant: str
    body: dict[str, Any]


@dataclass
class Traffic:
    """The answers and failures of a stream of requests."""

    answers: list[Answer] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def releases(self) -> list[str]:
        return [answer.release for answer in self.answers]
