"""Make golden cases from answers: choose how each is compared, by what moves between askings."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from golden import npy
from golden.cases import Answer, Case, Comparison, Expected, GoldenError, Method
from golden.comparer import first_difference, json_differences

ABSOLUTE, RELATIVE = 1e-4, 1e-4  # for answers with numbers: another CPU or engine computes other last digits
_MOST_RELATIVE = 0.05  # numbers that move by more are no rounding: they are compared by shape
_HEADROOM = 4  # × the largest movement seen
_TYPES_OF_TEXT = ("text/", "application/jsonlines", "application/xml")
_LAST_STEP = re.compile(r"(\[[^\[\]]*\]|\.[^.\[\]]+)$")


@dataclass(frozen=True)
class Recorded:
    """A case, and what a person should know of it; `remark` is empty for an answer that did not move."""

    case: Case
    remark: str = ""


def record_case(
    case: Case, answers: Sequence[Answer], *, absolute: float = ABSOLUTE, relative: float = RELATIVE
) -> Recorded:
    """Make a case of a request and its answers to several askings, at least one.

    Raises GoldenError for answers of different status or content type: such a request has no golden answer.
    """
    first = answers[0]
    for other in answers[1:]:
        if (other.status, other.content_type) != (first.status, first.content_type):
            raise GoldenError(
                f"{case.name}: answered once with {first.status} {first.content_type}, "
                f"once with {other.status} {other.content_type}.",
                fix="Leave the request out, or find out why the model's answers differ.",
            )
    method = _method_of(first)
    tolerance = (absolute, relative) if _has_fractions(first, method) else (0.0, 0.0)
    found = replace(
        case,
        expected=Expected(first.body, first.content_type, first.status, Comparison(method, *tolerance)),
    )
    moved = _first_movement(found, answers)
    if moved is None:
        return Recorded(found)
    for comparison in _proposals(found, answers):
        proposed = replace(found, expected=replace(found.expected, comparison=comparison))
        if _first_movement(proposed, answers) is None:
            return Recorded(proposed, f"{moved}: compared {described(comparison)}")
    status_only = replace(found, expected=Expected(None, first.content_type, first.status))
    return Recorded(
        status_only, f"{moved}: even its shape moves, so its status and content type alone are compared"
    )


def described(comparison: Comparison) -> str:
    """Describe a comparison in words."""
    if comparison.method == "shape":
        return "by shape alone"
    if comparison.shape_paths:
        return f"by shape alone at {', '.join(comparison.shape_paths)}"
    if not (comparison.absolute or comparison.relative):
        return "exactly"
    return f"within {comparison.absolute:g} + {comparison.relative:g} × the number"


def _method_of(answer: Answer) -> Method:
    if npy.is_npy(answer.body) and _is_readable(answer.body):
        return "npy"
    try:
        json.loads(answer.body)
    except ValueError:
        pass
    else:
        if not answer.content_type.startswith(_TYPES_OF_TEXT):
            return "json"
    try:
        answer.body.decode()
    except UnicodeDecodeError:
        return "bytes"
    return "text"


def _is_readable(body: bytes) -> bool:
    try:
        npy.read(body)
    except npy.NotNpy:
        return False
    return True


def _first_movement(case: Case, answers: Sequence[Answer]) -> str | None:
    """Return the first difference of a later answer from the first one; None: all agree."""
    differences = (first_difference(case, answer) for answer in answers[1:])
    return next((each for each in differences if each is not None), None)


def _has_fractions(answer: Answer, method: Method) -> bool:
    """Return True if a tolerance has a meaning: a label or a count has no last digits."""
    if method == "json":
        return any(_fractions(json.loads(answer.body)))
    return method in ("text", "npy")


def _fractions(document: Any) -> Iterable[float]:
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from _fractions(each)
    elif isinstance(document, float):
        yield document or 1.0  # 0.0 is a fraction too


def _proposals(case: Case, answers: Sequence[Answer]) -> Iterable[Comparison]:
    """Yield comparisons, the strictest first: a wider tolerance, single places by shape, all by shape."""
    comparison = case.expected.comparison
    if comparison.method in ("json", "text", "npy"):
        for exponent in range(-8, 1):
            relative = 10.0**exponent * _HEADROOM
            if comparison.relative < relative <= _MOST_RELATIVE:
                yield replace(comparison, relative=relative)
    if comparison.method == "json":
        paths = _moved_paths(case, answers)
        if "$" not in paths:
            yield replace(comparison, shape_paths=paths)
    yield Comparison("shape")


def _moved_paths(case: Case, answers: Sequence[Answer]) -> tuple[str, ...]:
    """Return the places whose values move; an array of which every element moves is one place."""
    documents = [json.loads(answer.body) for answer in answers]
    moved: set[str] = set()
    for document in documents[1:]:
        for sentence in json_differences(document, documents[0], case.expected.comparison):
            moved.add(sentence.split(" ", 1)[0] if not sentence.startswith('$["') else "$")
    return tuple(sorted(_merged(moved, documents[0])))


def _merged(paths: set[str], document: Any) -> set[str]:
    """Replace the elements of an array by the array when all of them are there."""
    while True:
        parents: dict[str, set[str]] = {}
        for path in paths:
            if path.endswith("]"):
                parents.setdefault(_LAST_STEP.sub("", path), set()).add(path)
        whole = {
            parent: children for parent, children in parents.items()
            if len(children) == _length_at(document, parent)
        }  # fmt: skip
        if not whole:
            return paths
        paths = (paths - set().union(*whole.values())) | set(whole)


def _length_at(document: Any, path: str) -> float:
    """Return the length of the array at a path; NaN, which equals no number, where there is none."""
    for step in re.findall(r"\[(\d+)\]|\.([^.\[\]]+)", path):
        try:
            document = document[int(step[0])] if step[0] else document[step[1]]
        except (KeyError, IndexError, TypeError):
            return math.nan
    return len(document) if isinstance(document, list) else math.nan
