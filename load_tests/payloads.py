"""Request payloads: the golden requests of the release with their answers, a file of bodies, or a user's function."""

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import count, cycle
from pathlib import Path
from typing import Any

import golden

JSON = "application/json"
GOLDEN_SUFFIXES = (".json", ".jsonl")
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class WrongAnswerError(Exception):
    """The endpoint answered 200 with something other than the golden answer."""


class PayloadError(ValueError):
    """The payload source cannot be used; the message names the source and the problem."""


@dataclass
class Payload:
    """One request, sent again and again. `case` None: its answer is not checked.

    `label` names it in errors. `position` is its place in the source.
    """

    request: golden.Request
    case: golden.Case | None = None
    label: str = ""
    position: int = 0
    _is_due: Iterator[bool] | None = None
    _right: golden.Answer | None = None  # the last answer that was compared and right
    _difference: str = ""  # the first that was found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the body, hex: computed once, however often the body is sent."""
        return sha256(self.request.body).hexdigest()

    @cached_property
    def headers(self) -> dict[str, str]:
        """The request's own headers; InvokeEndpointWithResponseStream has an Accept header of its own name."""
        request = self.request
        accept = "X-Amzn-SageMaker-Accept" if request.is_stream else "Accept"
        found = {"Content-Type": request.content_type}
        found |= {accept: request.accept} if request.accept else {}
        return found | ({ATTRIBUTES: request.custom_attributes} if request.custom_attributes else {})

    def is_due(self, check_every: int) -> bool:
        """Return True for one call in `check_every`, and never for 0.

        Payloads begin to count at their position, so that every one of them is checked, and not all at once.
        """
        if self.case is None or not check_every:
            return False
        if self._is_due is None:
            self._is_due = (number % check_every == 0 for number in count(self.position))
        return next(self._is_due)

    def check(self, content_type: str, body: bytes) -> None:
        """Compare a successful answer with the golden one. Raises WrongAnswerError with the first difference.

        An answer with the bytes of the last right one is right. Of each payload the first difference is named; others
        share a sentence, so that the kinds of errors stay few.
        """
        if self.case is None:
            return
        right = self._right
        if right is not None and body == right.body and content_type == right.content_type:
            return
        # SageMaker answers 200 for every success of a container.
        answer = golden.Answer(self.case.expected.status, content_type, body)
        difference = golden.first_difference(self.case, answer)
        if difference is None:
            self._right = answer
            return
        self._difference = self._difference or difference
        sentence = (
            difference if difference == self._difference else "other differences from the golden answer"
        )
        raise WrongAnswerError(f"{self.label}: {sentence}")


@dataclass(frozen=True)
class Source:
    """Payloads, repeated without end. `note`: what a report must say of them; empty if there is nothing to say."""

    payloads: Iterator[Payload]
    note: str = ""


def open_source(source: str, content_type: str = JSON) -> Source:
    """Open a source of payloads.

    `source`: a golden set (.jsonl or .json, or a folder with one); another file with one body on each line, sent
    unchanged; or FILE.py:FUNCTION, a function without arguments that yields bodies and is called again when it has
    ended. A body is bytes, text, any other value (sent as JSON), or a pair (body, content type).
    Raises PayloadError for a source without payloads.
    """
    path, colon, function = source.rpartition(":")
    if colon and path.endswith(".py"):
        return Source(_call_repeatedly(_import_function(Path(path), function), source, content_type))
    if Path(source).is_dir() or source.endswith(GOLDEN_SUFFIXES):
        return _golden_source(Path(source))
    lines = _read_lines(Path(source), content_type)
    if not lines:
        raise PayloadError(f"{source} has no lines: a load test needs at least one request to send.")
    return Source(cycle(lines))


def _golden_source(path: Path) -> Source:
    """Take the cases whose right answer is a success."""
    golden_set = _read_golden(path)
    labels = [golden_set.label(number) for number, case in enumerate(golden_set) if case.is_answered]
    pairs = zip(golden_set.answered, labels, strict=True)
    found = [Payload(case.request, case, label, n) for n, (case, label) in enumerate(pairs)]
    if not found:
        raise PayloadError(f"{path}: no golden case is answered with a success, so there is nothing to send.")
    refused = len(golden_set) - len(found)
    notes = [golden.GoldenSet(golden_set.answered, golden_set.digest).note] if found else []
    notes += [f"{refused} of {len(golden_set)} golden cases are answered with an error and not sent"] * bool(
        refused
    )
    return Source(cycle(found), "; ".join(note for note in notes if note))


def _read_golden(path: Path) -> golden.GoldenSet:
    try:
        golden_set = golden.read_folder(path) if path.is_dir() else golden.read(path)
    except golden.GoldenError as error:
        raise PayloadError(
            f"{error}\nA .jsonl or .json file is read as a golden set: to send each line as a body, give the file "
            "another extension, such as .txt or .csv."
        ) from error
    if golden_set is None:
        raise PayloadError(f"{path} has no {golden.FILE}: name a folder or file with a golden set.")
    return golden_set


def _read_lines(path: Path, content_type: str) -> list[Payload]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise PayloadError(f"{path} cannot be read: {error}") from error
    return [Payload(golden.Request(line, content_type)) for line in lines if line.strip()]


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
        return Payload(golden.Request(body.encode(), content_type))
    raw = bytes(body) if isinstance(body, bytes | bytearray) else json.dumps(body).encode()
    return Payload(golden.Request(raw, content_type))
