"""Decide at start whether requests to a program are batched: the golden requests are asked alone and together.

    decision = decide(steps, Batching(32, Joining(), golden_set))
    handler.joining = decision.joining      # None: no batching; decision.sentence says why

Nothing is believed of a program. Batching is on for inputs of those structures alone of which two different
golden requests were answered the same, within their cases' tolerance, in a batch of all of them and in a
full batch.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug.datastructures import Headers

import golden
from golden import Case, GoldenSet
from serving.handlers import joining
from serving.handlers.context import Call
from serving.handlers.errors import CannotLoad
from serving.handlers.joining import CannotSplit, Joining
from serving.platform import limits

if TYPE_CHECKING:
    from serving.handlers.handler import Answer

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class Steps(Protocol):
    """The steps of an invocation: those of a handler, or of the service around it."""

    def begin(self, call: Call) -> None: ...
    def negotiate(self, accept: str) -> str: ...
    def decode(self, body: bytes, content_type: str) -> Any: ...
    def predict(self, data: Any) -> Any: ...
    def encode(self, prediction: Any, accept: str) -> "Answer": ...


@dataclass(frozen=True)
class Batching:
    """The batching that a program's environment asks for, and what it is checked with."""

    most_rows: int
    joining: Joining
    golden_set: GoldenSet | None


@dataclass(frozen=True)
class Decision:
    """How inputs are joined, None for not at all, and the sentence for the log."""

    joining: Joining | None
    sentence: str


class _Differs(Exception):
    """A golden request that is not answered in a batch as it is alone; the text says which and how."""


@dataclass(frozen=True)
class _Asked:
    """A golden case, its answer alone, and the kind of its input."""

    label: str
    case: Case
    answer: golden.Answer
    kind: Hashable
    rows: int
    shape: Hashable  # its kind without padding


def read_batching(model_dir: Path, environ: Mapping[str, str]) -> Batching | None:
    """Read what the environment asks for; None is no batching. Raises BadLimit and CannotLoad."""
    most, padding = limits.program_batch_instances(environ), limits.batch_padding(environ)
    if most == 1:
        return None
    try:
        return Batching(most, Joining(padding), golden.read_folder(model_dir))
    except golden.GoldenError as error:
        raise CannotLoad(f"{error.what} {error.fix}") from error


def decide(steps: Steps, batching: Batching) -> Decision:
    """Ask the golden requests alone and together, and compare."""
    golden_set, wanted, most = batching.golden_set, batching.joining, batching.most_rows
    if golden_set is None:
        return off(f"the archive has no {golden.FILE} to check it with")
    try:
        groups = _comparable_groups(_ask_alone(steps, golden_set, wanted), wanted)
        for batch in (batch for group in groups for batch in _batches(group, most)):
            _compare(steps, batch, wanted)
    except _Differs as difference:
        return off(str(difference))
    proven = frozenset(joining.structure(group[0].kind) for group in groups)
    count = sum(len(group) for group in groups)
    return Decision(
        replace(wanted, structures=proven),
        f"batching is on, up to {most} rows: {count} golden requests are answered together as they are alone",
    )


def off(reason: str) -> Decision:
    """Decide against batching."""
    return Decision(None, f"batching is off: {reason}")


def _ask_alone(steps: Steps, golden_set: GoldenSet, wanted: Joining) -> list[_Asked]:
    """Answer each golden request by itself; keep those whose inputs can be joined. Raises _Differs."""
    asked = []
    for number, case in enumerate(golden_set):
        if not case.is_answered or case.request.is_stream:
            continue
        label = golden_set.label(number)
        try:
            data = _decode(steps, case)
            kind, shape = wanted.kind(data), Joining().kind(data)
            count = 0 if kind is None else joining.rows(data)
            answer = _encode(steps, case, steps.predict(data))
        except Exception as error:  # a user's code may raise anything
            raise _Differs(f"{label} fails: {type(error).__name__}: {error}") from error
        if kind is not None:
            asked.append(_Asked(label, case, answer, kind, count, shape))
    return asked


def _comparable_groups(asked: Sequence[_Asked], wanted: Joining) -> list[list[_Asked]]:
    """Group by kind what is compared by value. Raises _Differs if no two different requests can be joined."""
    groups: dict[Hashable, list[_Asked]] = {}
    for each in asked:
        if each.case.expected.comparison.method != "shape":
            groups.setdefault(each.kind, []).append(each)
    different = [group for group in groups.values() if len({each.case.request.body for each in group}) > 1]
    if not different:
        raise _Differs(
            "of the golden requests no two can be joined; it takes two different ones, compared by value, whose "
            "inputs are tensors, arrays or dicts of them, of one type, and one shape but for the first axis"
        )
    if wanted.padding and not any(len({each.shape for each in group}) > 1 for group in different):
        raise _Differs("no two golden requests differ in length, so that padding is not tried")
    return different


def _batches(group: Sequence[_Asked], most: int) -> list[list[_Asked]]:
    """Return batches of the whole group, and one that is full: the group again and again.

    Raises _Differs if no two different requests fit into one.
    """
    batches: list[list[_Asked]] = [[]]
    for each in group:
        if batches[-1] and _rows(batches[-1]) + each.rows > most:
            batches.append([])
        batches[-1].append(each)
    full: list[_Asked] = []
    for each in cycle(group):
        if _rows(full) + each.rows > most:
            break
        full.append(each)
    found = [batch for batch in (*batches, full) if len({each.case.request.body for each in batch}) > 1]
    if not found:
        raise _Differs(f"no two different golden requests fit into a batch of {most} rows")
    return found


def _rows(batch: Sequence[_Asked]) -> int:
    return sum(each.rows for each in batch)


def _compare(steps: Steps, batch: Sequence[_Asked], wanted: Joining) -> None:
    """Answer the requests together. Raises _Differs for the first answer that is another than alone."""
    size = f"in a batch of {len(batch)} requests"
    try:
        inputs = [_decode(steps, each.case) for each in batch]
        prediction = steps.predict(wanted.join(inputs))
        parts = joining.split(prediction, [each.rows for each in batch])
    except CannotSplit as error:
        raise _Differs(f"{size} the prediction is {error}") from error
    except Exception as error:  # a user's code may raise anything
        raise _Differs(f"the golden requests fail {size}: {type(error).__name__}: {error}") from error
    for each, part in zip(batch, parts, strict=True):
        try:
            answer = _encode(steps, each.case, part)
        except Exception as error:  # a user's code may raise anything
            raise _Differs(f"{each.label} fails {size}: {type(error).__name__}: {error}") from error
        difference = golden.first_difference(_as_answered(each), answer)
        if difference:
            raise _Differs(f"{each.label} is answered otherwise {size} than alone: {difference}")


def _as_answered(asked: _Asked) -> Case:
    """Return the case with the answer that was given alone in place of the golden one."""
    answer = asked.answer
    expected = replace(
        asked.case.expected, body=answer.body, content_type=answer.content_type, status=answer.status
    )
    return replace(asked.case, expected=expected)


def _decode(steps: Steps, case: Case) -> Any:
    steps.begin(_call(case))
    return steps.decode(case.request.body, case.request.content_type)


def _encode(steps: Steps, case: Case, prediction: Any) -> golden.Answer:
    steps.begin(_call(case))
    answer = steps.encode(prediction, steps.negotiate(case.request.accept))
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    return golden.Answer(answer.status, answer.content_type, body)


def _call(case: Case) -> Call:
    """Return the headers that a caller of the golden request sends."""
    request = case.request
    headers = {
        "Content-Type": request.content_type,
        "Accept": request.accept,
        CUSTOM_ATTRIBUTES: request.custom_attributes,
    }
    return Call(Headers({name: value for name, value in headers.items() if value}))
