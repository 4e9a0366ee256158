"""The types of a golden set: a request, what its answer must be, and how the two are compared."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

JSON = "application/json"
Method = Literal["json", "text", "bytes", "npy", "shape"]
METHODS: tuple[str, ...] = get_args(Method)


class GoldenError(ValueError):
    """A golden set that cannot be used: what is wrong and where, and the fix."""

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix

    def __str__(self) -> str:
        return f"{self.what}\n  fix: {self.fix}"


@dataclass(frozen=True)
class Request:
    """A request to /invocations. `accept` empty: no Accept header. `is_stream`: asked for as a response stream."""

    body: bytes
    content_type: str = JSON
    accept: str = ""
    custom_attributes: str = ""
    is_stream: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer to a request; a stream's parts are joined. `content_type` empty: unknown, and not compared."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Comparison:
    """A method of comparing two bodies, with its tolerance.

    `json`: strings, keys and lengths exactly, numbers within the tolerance. `text`: exactly, but for its numbers where
    there is a tolerance. `npy`: type and shape exactly, numbers within the tolerance (NPY, and NPZ by array).
    `bytes`: exactly. `shape`: types, keys and lengths alone, for an answer that is not deterministic.
    A number x may differ from the expected y by `absolute` + `relative` × |y|.
    `shape_paths`: with `json`, the places, such as `$.served_at`, below which only the shape is compared.
    """

    method: Method = "json"
    absolute: float = 0.0
    relative: float = 0.0
    shape_paths: tuple[str, ...] = ()

    @property
    def is_by_shape(self) -> bool:
        """True if some part of the answer is compared by its shape alone."""
        return self.method == "shape" or bool(self.shape_paths)

    def allows(self, found: float, expected: float) -> bool:
        """Return True if the two numbers agree; NaN agrees with NaN."""
        if found == expected:
            return True
        if found != found or expected != expected:
            return found != found and expected != expected
        return abs(found - expected) <= self.absolute + self.relative * abs(expected)


@dataclass(frozen=True)
class Expected:
    """The right answer. `body` None: only its status and content type are known."""

    body: bytes | None
    content_type: str = ""
    status: int = 200
    comparison: Comparison = field(default_factory=Comparison)

    @cached_property
    def document(self) -> Any:
        """The body as JSON, parsed once. Raises ValueError."""
        return json.loads(self.body or b"")


@dataclass(frozen=True)
class Case:
    """A request and what its answer must be. `name`: for people, such as the file that the request came from."""

    request: Request
    expected: Expected
    name: str = ""

    @property
    def is_answered(self) -> bool:
        """True if the right answer is a success, which a load test can count on."""
        return 200 <= self.expected.status < 300


@dataclass(frozen=True)
class GoldenSet:
    """The golden cases of a model, at least one. `digest`: SHA-256 of the file, hex."""

    cases: tuple[Case, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def case(self, number: int) -> Case:
        """Return a case by number; numbers beyond the last begin again."""
        return self.cases[number % len(self.cases)]

    def label(self, number: int) -> str:
        """Name a case in a message: `golden case 3 (cat.png)`."""
        position = number % len(self.cases)
        name = self.cases[position].name
        return f"golden case {position}" + (f" ({name})" if name else "")

    @property
    def answered(self) -> tuple[Case, ...]:
        """The cases whose right answer is a success."""
        return tuple(case for case in self.cases if case.is_answered)

    @property
    def by_shape(self) -> int:
        """The number of cases of which at least a part is compared by its shape alone, or no body at all."""
        return sum(case.expected.body is None or case.expected.comparison.is_by_shape for case in self.cases)

    @property
    def note(self) -> str:
        """The sentence for reports about what is not compared whole; empty when every answer is."""
        if not self.by_shape:
            return ""
        return f"{self.by_shape} of {len(self)} golden cases are compared by shape alone, in part or whole"

    @cached_property
    def contract(self) -> str:
        """A hash of the requests, 16 hex digits: two sets that differ in it ask for different things."""
        digest = hashlib.sha256()
        for each in sorted((case.request for case in self.cases), key=repr):
            digest.update(repr(each).encode())
        return digest.hexdigest()[:16]
