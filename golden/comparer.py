"""The one comparer: the first difference between an answer and the golden one, named by its place."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from golden import npy
from golden.cases import Answer, Case, Comparison, Expected

_SHOWN = 60  # characters of a value in a message
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def first_difference(case: Case, answer: Answer) -> str | None:
    """Name the first place in which `answer` differs from the golden one, with both values; None: they agree."""
    expected = case.expected
    if answer.status != expected.status:
        return f"status is {answer.status}, not {expected.status}: {shown(answer.body)}"
    if expected.content_type and answer.content_type and _essence(answer) != _essence(expected):
        return f"content type is {answer.content_type}, not {expected.content_type}"
    if expected.body is None or answer.body == expected.body:
        return None
    compare = _COMPARERS[expected.comparison.method]
    return next(compare(expected, answer.body), None)


def json_differences(
    found: Any, expected: Any, comparison: Comparison, path: str = "$", *, by_shape: bool = False
) -> Iterator[str]:
    """Yield every place in which two JSON values differ, by JSON path."""
    by_shape = by_shape or path in comparison.shape_paths
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        yield from _key_differences(found, expected, path)
        for key in expected:
            if key in found:
                place = f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"
                yield from json_differences(found[key], expected[key], comparison, place, by_shape=by_shape)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            yield f"{path} has {len(found)} elements, not {len(expected)}"
        for number, (left, right) in enumerate(zip(found, expected, strict=False)):
            yield from json_differences(left, right, comparison, f"{path}[{number}]", by_shape=by_shape)
    elif kind(found) != kind(expected):
        yield f"{path} is {shown(found)}, not {shown(expected)}"
    elif by_shape or _is_same(found, expected, comparison):
        return
    else:
        yield f"{path} is {shown(found)}, not {shown(expected)}{_allowed(expected, comparison)}"


def kind(value: Any) -> str:
    """Return the JSON type of a value; true and false are no numbers."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object", type(None): "null"}[type(value)]


def shown(value: Any) -> str:
    """Return the beginning of a value, for a message."""
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return f"{len(value):,} bytes beginning with {value[:8].hex(' ')}"
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _key_differences(found: Mapping[str, Any], expected: Mapping[str, Any], path: str) -> Iterator[str]:
    missing, added = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing:
        yield f"{path} lacks {', '.join(missing)}"
    if added:
        yield f"{path} has {', '.join(added)}, which the golden answer lacks"


def _is_same(found: Any, expected: Any, comparison: Comparison) -> bool:
    if kind(expected) == "number":
        return comparison.allows(found, expected)
    return bool(found == expected)


def _allowed(expected: Any, comparison: Comparison) -> str:
    if kind(expected) != "number" or not (comparison.absolute or comparison.relative):
        return ""
    return f" ± {comparison.absolute + comparison.relative * abs(expected):.3g}"


def _json(expected: Expected, body: bytes) -> Iterator[str]:
    try:
        found = json.loads(body)
    except ValueError:
        yield f"the answer is no JSON: {shown(body)}"
        return
    yield from json_differences(found, expected.document, expected.comparison)


def _text(expected: Expected, body: bytes) -> Iterator[str]:
    """Compare line by line, and without a tolerance exactly."""
    try:
        found, wanted = body.decode(), (expected.body or b"").decode()
    except UnicodeDecodeError:
        yield f"the answer is no text: {shown(body)}"
        return
    left, right = found.splitlines(), wanted.splitlines()
    for number, (line, golden) in enumerate(zip(left, right, strict=False), 1):
        if not _is_same_line(line, golden, expected.comparison):
            yield f"line {number} is {shown(line)}, not {shown(golden)}"
    if len(left) != len(right):
        yield f"the answer has {len(left)} lines, not {len(right)}"
    elif left == right and found != wanted:
        yield "the line endings are not the golden ones"


def _is_same_line(line: str, golden: str, comparison: Comparison) -> bool:
    if line == golden:
        return True
    if not (comparison.absolute or comparison.relative):
        return False
    if _NUMBER.split(line) != _NUMBER.split(golden):
        return False
    pairs = zip(_NUMBER.findall(line), _NUMBER.findall(golden), strict=True)
    return all(comparison.allows(float(left), float(right)) for left, right in pairs)


def _bytes(expected: Expected, body: bytes) -> Iterator[str]:
    wanted = expected.body or b""
    where = next(
        (n for n, (left, right) in enumerate(zip(body, wanted, strict=False)) if left != right),
        min(len(body), len(wanted)),
    )
    if body != wanted:
        yield f"{len(body):,} bytes differ from the golden {len(wanted):,} from byte {where} on"


def _npy(expected: Expected, body: bytes, *, by_shape: bool = False) -> Iterator[str]:
    try:
        found = npy.read(body)
    except npy.NotNpy as error:
        yield f"the answer is no array: {error}"
        return
    wanted = npy.read(expected.body or b"")
    if found.keys() != wanted.keys():
        yield f"the arrays are {', '.join(found)}, not {', '.join(wanted)}"
        return
    for name, array in wanted.items():
        yield from _array_differences(found[name], array, expected.comparison, name, by_shape=by_shape)


def _array_differences(
    found: npy.Array, wanted: npy.Array, comparison: Comparison, name: str, *, by_shape: bool
) -> Iterator[str]:
    where = name or "the array"
    if (found.kind, found.shape) != (wanted.kind, wanted.shape):
        yield f"{where} is {found.kind} of shape {found.shape}, not {wanted.kind} of shape {wanted.shape}"
        return
    if by_shape:
        return
    for number, (left, right) in enumerate(zip(found.values, wanted.values, strict=True)):
        if not comparison.allows(left, right):
            place = f"{name}[{', '.join(map(str, wanted.index(number)))}]"
            yield f"{place} is {left}, not {right}{_allowed(right, comparison)}"


def _shape(expected: Expected, body: bytes) -> Iterator[str]:
    """Compare what the golden body is, JSON or arrays, by shape; of any other, whether it is empty."""
    wanted = expected.body or b""
    if npy.is_npy(wanted):
        yield from _npy(expected, body, by_shape=True)
        return
    try:
        document = expected.document
    except ValueError:
        if bool(body.strip()) != bool(wanted.strip()):
            yield "the answer is empty" if wanted.strip() else f"the answer is {shown(body)}, not empty"
        return
    try:
        found = json.loads(body)
    except ValueError:
        yield f"the answer is no JSON: {shown(body)}"
        return
    yield from json_differences(found, document, expected.comparison, by_shape=True)


def _essence(message: Answer | Expected) -> str:
    return message.content_type.partition(";")[0].strip().lower()


_COMPARERS = {"json": _json, "text": _text, "bytes": _bytes, "npy": _npy, "shape": _shape}
