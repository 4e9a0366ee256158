"""Request payloads: the golden set of the release with its answers, a file of bodies, or a user's function."""

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import count, cycle
from pathlib import Path
from typing import Any

JSON = "application/json"


class WrongAnswerError(Exception):
    """The endpoint answered 200 with something other than the golden prediction."""


class PayloadError(ValueError):
    """The payload source cannot be used; the message names the source and the problem."""


@dataclass(frozen=True)
class Golden:
    """The prediction that must come back, within the tolerance."""

    label: int
    probabilities: tuple[float, ...]
    tolerance: float


@dataclass(frozen=True)
class Payload:
    """One request. `golden` None: its answer is not checked."""

    body: bytes
    content_type: str = JSON
    golden: Golden | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the body, hex: computed once, however often the body is sent."""
        return sha256(self.body).hexdigest()

    def check(self, answer: bytes) -> None:
        """Raise WrongAnswerError unless `answer` is this payload's prediction, within the tolerance."""
        if self.golden is None:
            return
        try:
            (prediction,) = json.loads(answer)["predictions"]
            label, probabilities = prediction["label"], prediction["probabilities"]
        except (ValueError, KeyError, TypeError) as error:
            raise WrongAnswerError("the answer is not one prediction with label and probabilities") from error
        if label != self.golden.label:
            raise WrongAnswerError("the label is not the golden one")
        if len(probabilities) != len(self.golden.probabilities):
            raise WrongAnswerError("the number of probabilities is not the golden one")
        pairs = zip(probabilities, self.golden.probabilities, strict=True)
        if any(not abs(got - expected) <= self.golden.tolerance for got, expected in pairs):
            raise WrongAnswerError("a probability is further from the golden one than the tolerance")


def payloads(source: str, content_type: str = JSON) -> Iterator[Payload]:
    """Return the payloads of a source, repeated without end.

    `source`: a golden set (.json); a file with one body on each line, sent unchanged; or FILE.py:FUNCTION, a
    function without arguments that yields bodies and is called again when it has ended. A body is bytes, text, any
    other value (sent as JSON), or a pair (body, content type). Raises PayloadError for a source without payloads.
    """
    path, colon, function = source.rpartition(":")
    if colon and path.endswith(".py"):
        return _call_repeatedly(_import_function(Path(path), function), source, content_type)
    found = read_golden(Path(source)) if source.endswith(".json") else _read_lines(Path(source), content_type)
    if not found:
        raise PayloadError(f"{source} has no cases: a load test needs at least one request to send.")
    return cycle(found)


def read_golden(path: Path) -> list[Payload]:
    """Read a golden set: one request for each of its cases."""
    golden: dict[str, Any] = json.loads(path.read_text())
    return [
        Payload(
            body=json.dumps({"instances": [case["instance"]]}).encode(),
            content_type=golden["content_type"],
            golden=Golden(
                label=case["prediction"]["label"],
                probabilities=tuple(case["prediction"]["probabilities"]),
                tolerance=float(golden["tolerance"]),
            ),
        )
        for case in golden["cases"]
    ]


def _read_lines(path: Path, content_type: str) -> list[Payload]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise PayloadError(f"{path} cannot be read: {error}") from error
    return [Payload(line, content_type) for line in lines if line.strip()]


def _import_function(path: Path, name: str) -> Callable[[], Iterable[Any]]:
    """Import the user's function. Raises PayloadError when the file or the function does not exist."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PayloadError(f"{path} is no Python file: name the function as FILE.py:FUNCTION.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[], Iterable[Any]] | None = getattr(module, name, None)
    if not callable(function):
        raise PayloadError(f"{path} has no function {name!r}: name one that yields request bodies.")
    return function


def _call_repeatedly(
    function: Callable[[], Iterable[Any]], source: str, content_type: str
) -> Iterator[Payload]:
    """Yield the function's bodies as payloads, and call it again when it has ended."""
    for call in count():
        is_empty = True
        for body in function():
            is_empty = False
            yield _payload(body, source, content_type)
        if is_empty:
            raise PayloadError(f"{source} yielded nothing{' the second time' if call else ''}.")


def _payload(body: Any, source: str, content_type: str) -> Payload:
    if isinstance(body, tuple):
        if len(body) != 2 or not isinstance(body[1], str):
            raise PayloadError(f"{source} yielded a tuple that is not (body, content type).")
        body, content_type = body
    if isinstance(body, str):
        return Payload(body.encode(), content_type)
    return Payload(
        bytes(body) if isinstance(body, bytes | bytearray) else json.dumps(body).encode(), content_type
    )
