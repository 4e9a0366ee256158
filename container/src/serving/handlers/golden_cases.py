"""The golden cases of a model archive: how they are asked here, and how far their answers may differ.

cases = golden_cases.read(model_dir, limit)
data, answer = golden_cases.ask(handler, case)
difference = golden.first_difference(case, answer)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from werkzeug.datastructures import Headers

import golden
from golden import Case, GoldenSet, Request
from serving.engines.agreement import Limit
from serving.handlers.context import Call
from serving.handlers.errors import CannotLoad
from serving.handlers.handler import Answer

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class Steps(Protocol):
    """The steps of an invocation: those of a handler, or of the service around it."""

    def begin(self, call: Call) -> None: ...
    def negotiate(self, accept: str) -> str: ...
    def decode(self, body: bytes, content_type: str) -> Any: ...
    def predict(self, data: Any) -> Any: ...
    def encode(self, prediction: Any, accept: str) -> Answer: ...


@dataclass(frozen=True)
class GoldenCases:
    """An archive's golden cases. `limit`: how far an engine in PyTorch's place may be from PyTorch; None: no engine."""

    file: Path
    found: GoldenSet
    limit: Limit | None = None

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases)

    @property
    def most_wrong(self) -> int:
        """The number of answers that may be wrong: with an engine, the share of rows whose largest number may move."""
        share = 1 - self.limit.top1_agreement if self.limit else 0.0
        return math.floor(round(share * len(self.found.answered), 6))

    def label(self, number: int) -> str:
        """Name a case in a message: file, number and name."""
        return f"{self.file}: {self.found.label(number)}"

    @cached_property
    def _cases(self) -> tuple[Case, ...]:
        """The cases, each with the looser of its own tolerance and the engine's limit."""
        if self.limit is None:
            return self.found.cases
        return tuple(_loosened(case, self.limit.maximum_difference) for case in self.found.cases)


def read(model_dir: Path, limit: Limit | None = None) -> GoldenCases | None:
    """Read the golden cases of an archive; None if it has none. Raises CannotLoad for a faulty file."""
    names = (golden.FILE, golden.LEGACY_FILE)
    file = next((model_dir / name for name in names if (model_dir / name).is_file()), None)
    if file is None:
        return None
    try:
        return GoldenCases(file, golden.read(file), limit)
    except golden.GoldenError as error:
        raise CannotLoad(f"{error.what} {error.fix}") from error


def ask(steps: Steps, case: Case) -> tuple[Any, golden.Answer]:
    """Ask a case; return the model's input and the whole answer, a stream's parts joined.

    Raises what the steps raise.
    """
    steps.begin(call(case.request))
    accept = steps.negotiate(case.request.accept)
    data = steps.decode(case.request.body, case.request.content_type)
    return data, whole(steps.encode(steps.predict(data), accept))


def whole(answer: Answer) -> golden.Answer:
    """Return a handler's answer with the parts of a stream joined."""
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    return golden.Answer(answer.status, answer.content_type, body)


def call(request: Request) -> Call:
    """Return the headers that a caller of the golden request sends."""
    headers = {
        "Content-Type": request.content_type,
        "Accept": request.accept,
        CUSTOM_ATTRIBUTES: request.custom_attributes,
    }
    return Call(Headers({name: value for name, value in headers.items() if value}))


def _loosened(case: Case, absolute: float) -> Case:
    comparison = case.expected.comparison
    looser = replace(comparison, absolute=max(comparison.absolute, absolute))
    return replace(case, expected=replace(case.expected, comparison=looser))
