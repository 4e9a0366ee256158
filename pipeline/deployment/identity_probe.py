"""Invoke an endpoint, several calls at once, and note the release and the instance of every answer."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.aws import Answer
from pipeline.errors import AwsRefused

AT_ONCE = 8  # a router that prefers idle instances would send single calls to the same one


class InvokesEndpoints(Protocol):
    """Invocations of endpoints, as AwsClient makes them."""

    def invoke(self, endpoint: str, body: bytes, /) -> Answer: ...


@dataclass
class IdentityProbe:
    """The answers so far: instances by release, and errors by their text."""

    instances: dict[str | None, set[str]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    def ask(self, aws: InvokesEndpoints, endpoint: str, bodies: Sequence[bytes]) -> list[tuple[int, Answer]]:
        """Send the bodies, several at once; return the answers by their bodies' index.

        An error of the model is noted, not raised. Raises AwsUnreachable.
        """

        def once(body: bytes) -> Answer | AwsRefused:
            try:
                return aws.invoke(endpoint, body)
            except AwsRefused as error:
                return error

        answers = []
        with ThreadPoolExecutor(min(len(bodies), AT_ONCE)) as callers:
            for index, answer in enumerate(callers.map(once, bodies)):
                if isinstance(answer, AwsRefused):
                    self.errors[f"{answer.code}: {answer.message[:200]}"] += 1
                else:
                    self.instances.setdefault(answer.release, set()).add(answer.instance or "")
                    answers.append((index, answer))
        return answers

    def count(self, release: str) -> int:
        """Return how many distinct instances have answered with this release's id."""
        return len(self.instances.get(release, set()) - {""})

    def __str__(self) -> str:
        answers = [f"{release}: {len(ids)}" for release, ids in self.instances.items()]
        errors = [f"{count} × {text}" for text, count in self.errors.most_common(2)]
        return "; ".join([*answers, *errors]) or "nobody"
