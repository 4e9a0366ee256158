"""Invoke an endpoint, several calls at once, and note the release and the instance of every answer."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from golden import Case, Request
from pipeline.aws import Answer
from pipeline.errors import AwsRefused, PipelineError

AT_ONCE = 8  # a router that prefers idle instances would send single calls to the same one
SHOWN = 200  # characters of an error


class InvokesEndpoints(Protocol):
    """Invocations of endpoints, as AwsClient makes them."""

    def invoke(self, endpoint: str, request: Request, /) -> Answer: ...


@dataclass
class IdentityProbe:
    """The answers so far: instances by release, and errors by their text."""

    instances: dict[str | None, set[str]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    refusal: str = ""  # the model's last error that was not the right answer

    def ask(self, aws: InvokesEndpoints, endpoint: str, cases: Sequence[Case]) -> list[tuple[int, Answer]]:
        """Send the cases' requests, several at once; return the answers by their cases' index.

        An error is noted, not raised, unless it is the right answer of its case; that of a model is an answer too.
        Raises AwsUnreachable.
        """

        def once(case: Case) -> Answer | AwsRefused:
            try:
                return aws.invoke(endpoint, case.request)
            except AwsRefused as error:
                return error

        answers = []
        with ThreadPoolExecutor(min(len(cases), AT_ONCE)) as callers:
            for index, answer in enumerate(callers.map(once, cases)):
                self.note(answer, cases[index])
                if isinstance(answer, Answer):
                    answers.append((index, answer))
        return answers

    def note(self, answer: Answer | PipelineError, case: Case) -> None:
        """Note the answer to a case, or the error without one."""
        if isinstance(answer, AwsRefused):
            self.errors[f"{answer.code}: {answer.message[:SHOWN]}"] += 1
        elif isinstance(answer, PipelineError):
            self.errors[answer.what[:SHOWN]] += 1
        elif answer.release is not None or answer.status < 400:
            self.instances.setdefault(answer.release, set()).add(answer.instance or "")
        elif answer.status != case.expected.status:
            self.refusal = (
                f"the model answered {answer.status}: {answer.body[:SHOWN].decode(errors='replace')}"
            )
            self.errors[self.refusal] += 1

    def count(self, release: str) -> int:
        """Return how many distinct instances have answered with this release's id."""
        return len(self.instances.get(release, set()) - {""})

    def unproved(self, release: str, wanted: int) -> str:
        """Return what an UNCHECKED release leaves unproved, whose model refuses an empty JSON object."""
        return (
            f"UNCHECKED: {self.count(release)} of {wanted} instances are proved to serve {release}; asked an empty JSON "
            f"object, {self.refusal}"
        )

    def __str__(self) -> str:
        answers = [f"{release}: {len(ids)}" for release, ids in self.instances.items()]
        errors = [f"{count} × {text}" for text, count in self.errors.most_common(2)]
        return "; ".join([*answers, *errors]) or "nobody"
