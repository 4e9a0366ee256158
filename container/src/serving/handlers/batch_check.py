"""Decide at start whether requests to a program are batched: the golden requests are asked alone and together.

    decision = decide(steps, Batching(32, Joining()), golden_cases.read(model_dir))
    handler.joining = decision.joining      # None: no batching; decision.sentence says why

Nothing is believed of a program. Batching is on for inputs of those structures alone of which two different
golden requests were answered the same, within their cases' tolerance, in a batch of all of them and in a
full batch.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import golden
from golden import Case
from serving.handlers import golden_cases, joining
from serving.handlers.errors import BadRequest, HandlerFailed
from serving.handlers.golden_cases import GoldenCases, Steps
from serving.handlers.joining import Batching, CannotSplit, Joining

MOST_CASES = 32  # golden requests that are asked: a thousand slow ones would delay the start too long


@dataclass(frozen=True)
class Decision:
    """The inputs that are joined, None for no batching, and the sentence for the log."""

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


def decide(steps: Steps, batching: Batching, cases: GoldenCases | None) -> Decision:
    """Ask the golden requests alone and together, and compare."""
    wanted, most = batching.joining, batching.most_rows
    if cases is None:
        return off(f"the archive has no {golden.FILE} to check it with")
    try:
        groups = _comparable_groups(_ask_alone(steps, cases, wanted), wanted)
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


def _ask_alone(steps: Steps, cases: GoldenCases, wanted: Joining) -> list[_Asked]:
    """Answer each golden request by itself; keep those whose inputs can be joined. Raises _Differs."""
    asked: list[_Asked] = []
    for number, case in enumerate(cases):
        if not case.is_answered or case.request.is_stream:
            continue
        if len(asked) == MOST_CASES:
            break
        label = cases.found.label(number)
        try:
            data = _decode(steps, case)
            kind, shape = wanted.kind(data), Joining().kind(data)
            count = 0 if kind is None else joining.rows(data)
            answer = _encode(steps, case, steps.predict(data))
        except Exception as error:  # a user's code may raise anything
            raise _Differs(f"{label} fails: {_text(error)}") from error
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
        raise _Differs(f"the golden requests fail {size}: {_text(error)}") from error
    for each, part in zip(batch, parts, strict=True):
        try:
            answer = _encode(steps, each.case, part)
        except Exception as error:  # a user's code may raise anything
            raise _Differs(f"{each.label} fails {size}: {_text(error)}") from error
        difference = golden.first_difference(_as_answered(each), answer)
        if difference:
            raise _Differs(f"{each.label} is answered otherwise {size} than alone: {difference}")


def _text(error: Exception) -> str:
    """Return an error in one line."""
    is_sentence = isinstance(error, BadRequest | HandlerFailed)
    return " ".join((str(error) if is_sentence else f"{type(error).__name__}: {error}").split())


def _as_answered(asked: _Asked) -> Case:
    """Return the case with the answer that was given alone in place of the golden one."""
    answer = asked.answer
    expected = replace(
        asked.case.expected, body=answer.body, content_type=answer.content_type, status=answer.status
    )
    return replace(asked.case, expected=expected)


def _decode(steps: Steps, case: Case) -> Any:
    steps.begin(golden_cases.call(case.request))
    return steps.decode(case.request.body, case.request.content_type)


def _encode(steps: Steps, case: Case, prediction: Any) -> golden.Answer:
    steps.begin(golden_cases.call(case.request))
    accept = steps.negotiate(case.request.accept)
    return golden_cases.whole(steps.encode(prediction, accept))
