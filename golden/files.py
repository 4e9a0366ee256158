"""Read and write golden sets: JSON Lines, one case a line; `schema.json` describes a line.

    {"request": {"content_type": "application/json", "body": {"json": {"text": "hello"}}},
     "answer": {"content_type": "application/json", "body": {"json": [0.25, 0.75]},
                "compare": {"by": "json", "absolute": 0.0001}}}

A body is {"json": value}, {"text": "…"} or {"base64": "…"}. The older golden.json, one document with `instances` and
`predictions`, is read too.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from golden import npy
from golden.cases import JSON, METHODS, Case, Comparison, Expected, GoldenError, GoldenSet, Method, Request

FILE, LEGACY_FILE = "golden.jsonl", "golden.json"  # in a model archive, the first that is there

_KEYS = {
    "case": {"name", "request", "answer"},
    "request": {"content_type", "accept", "custom_attributes", "stream", "body"},
    "answer": {"status", "content_type", "body", "compare"},
    "compare": {"by", "absolute", "relative", "shape_paths"},
}
_FIX = "Record the set again: python -m golden record; golden/schema.json describes a line."


def read_folder(folder: Path) -> GoldenSet | None:
    """Read the golden set of an unpacked model archive; None when it has none. Raises GoldenError."""
    found = next((folder / name for name in (FILE, LEGACY_FILE) if (folder / name).is_file()), None)
    return None if found is None else read(found)


def read(path: Path) -> GoldenSet:
    """Read a golden set. Raises GoldenError, naming file and line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GoldenError(f"{path} cannot be read: {error.strerror}.", fix="Name a golden set.") from error
    return parse(content, str(path))


def parse(content: bytes, where: str) -> GoldenSet:
    """Read the content of a golden set; `where` it is from is for messages. Raises GoldenError."""
    digest = hashlib.sha256(content).hexdigest()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GoldenError(f"{where} is not UTF-8: {error}.", fix=_FIX) from None
    legacy = _legacy_document(text)
    if legacy is not None:
        return GoldenSet(_legacy_cases(legacy, where), digest)
    lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    cases = tuple(_parse_line(line, f"{where}:{number}") for number, line in lines)
    if not cases:
        raise GoldenError(f"{where} has no cases.", fix=_FIX)
    return GoldenSet(cases, digest)


def write(cases: Iterable[Case], path: Path) -> None:
    """Write a golden set; the same cases give the same bytes."""
    path.write_bytes(serialize(cases))


def serialize(cases: Iterable[Case]) -> bytes:
    """Return the content of the file for these cases. Raises GoldenError without any."""
    lines = [json.dumps(_document(case), ensure_ascii=False, separators=(",", ":")) for case in cases]
    if not lines:
        raise GoldenError("There are no golden cases to write.", fix="Name at least one request.")
    return ("\n".join(lines) + "\n").encode()


def _parse_line(line: str, where: str) -> Case:
    try:
        return _case(json.loads(line), where)
    except json.JSONDecodeError as error:
        raise GoldenError(f"{where} is no JSON: {error}.", fix=_FIX) from None


def _case(document: Any, where: str) -> Case:
    _check_keys(document, "case", where)
    request, answer = (_member(document, key, dict, where, {}) for key in ("request", "answer"))
    _check_keys(request, "request", f"{where}: request")
    _check_keys(answer, "answer", f"{where}: answer")
    if "body" not in request:
        raise GoldenError(f"{where}: the request has no body.", fix=_FIX)
    return Case(
        name=_member(document, "name", str, where, ""),
        request=Request(
            body=_body(request["body"], f"{where}: request"),
            content_type=_member(request, "content_type", str, where, JSON),
            accept=_member(request, "accept", str, where, ""),
            custom_attributes=_member(request, "custom_attributes", str, where, ""),
            is_stream=_member(request, "stream", bool, where, False),
        ),
        expected=_expected(answer, where),
    )


def _expected(answer: Mapping[str, Any], where: str) -> Expected:
    body = _body(answer["body"], f"{where}: answer") if "body" in answer else None
    default = next(iter(answer["body"])) if body is not None else "bytes"
    expected = Expected(
        body=body,
        content_type=_member(answer, "content_type", str, where, ""),
        status=_member(answer, "status", int, where, 200),
        comparison=_comparison(
            _member(answer, "compare", dict, where, {}), default.replace("base64", "bytes"), where
        ),
    )
    _check_comparable(expected, where)
    return expected


def _comparison(document: Mapping[str, Any], default: str, where: str) -> Comparison:
    _check_keys(document, "compare", f"{where}: compare")
    method = _member(document, "by", str, where, default)
    if method not in METHODS:
        raise GoldenError(f"{where}: compare by {method!r}: there is {', '.join(METHODS)}.", fix=_FIX)
    absolute, relative = (
        float(_member(document, key, (int, float), where, 0)) for key in ("absolute", "relative")
    )
    if not (0 <= absolute < float("inf") and 0 <= relative < float("inf")):
        raise GoldenError(f"{where}: a tolerance is a number from 0 on.", fix=_FIX)
    paths = _member(document, "shape_paths", list, where, [])
    if not all(isinstance(path, str) and path.startswith("$") for path in paths):
        raise GoldenError(f"{where}: shape_paths are JSON paths such as $.served_at.", fix=_FIX)
    return Comparison(cast(Method, method), absolute, relative, tuple(paths))


def _check_comparable(expected: Expected, where: str) -> None:
    """Raise GoldenError for a golden body that its own comparison cannot read."""
    try:
        if expected.body is not None and expected.comparison.method == "json":
            _ = expected.document
        if expected.body is not None and expected.comparison.method == "npy":
            npy.read(expected.body)
    except ValueError as error:
        raise GoldenError(
            f"{where}: the golden answer cannot be compared by {expected.comparison.method}: {error}.",
            fix=_FIX,
        ) from None


def _body(document: Any, where: str) -> bytes:
    if not isinstance(document, dict) or len(document) != 1 or document.keys() - {"json", "text", "base64"}:
        raise GoldenError(f'{where}: a body is {{"json": …}}, {{"text": …}} or {{"base64": …}}.', fix=_FIX)
    ((form, value),) = document.items()
    if form == "json":
        return json.dumps(value).encode()
    if not isinstance(value, str):
        raise GoldenError(f"{where}: a body of {form} is a string.", fix=_FIX)
    if form == "text":
        return value.encode()
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise GoldenError(f"{where}: the body is no base64: {error}.", fix=_FIX) from None


def _check_keys(document: Any, name: str, where: str) -> None:
    if not isinstance(document, dict):
        raise GoldenError(f"{where}: expected an object.", fix=_FIX)
    unknown = sorted(document.keys() - _KEYS[name])
    if unknown:
        known = ", ".join(sorted(_KEYS[name]))
        raise GoldenError(f"{where} has no {', '.join(unknown)}; its keys are {known}.", fix=_FIX)


def _member(
    document: Mapping[str, Any], key: str, kind: type | tuple[type, ...], where: str, default: Any
) -> Any:
    value = document.get(key, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise GoldenError(f"{where}: {key} is {json.dumps(value)[:60]}.", fix=_FIX)
    return value


def _document(case: Case) -> dict[str, Any]:
    """Return a case as a line of the file, without what is the default."""
    request, expected, comparison = case.request, case.expected, case.expected.comparison
    asked: dict[str, Any] = {"content_type": request.content_type}
    asked |= {"accept": request.accept} if request.accept else {}
    asked |= {"custom_attributes": request.custom_attributes} if request.custom_attributes else {}
    asked |= {"stream": True} if request.is_stream else {}
    answer: dict[str, Any] = {} if expected.status == 200 else {"status": expected.status}
    answer |= {"content_type": expected.content_type} if expected.content_type else {}
    if expected.body is not None:
        compare: dict[str, Any] = {"by": comparison.method}
        compare |= {"absolute": comparison.absolute} if comparison.absolute else {}
        compare |= {"relative": comparison.relative} if comparison.relative else {}
        compare |= {"shape_paths": list(comparison.shape_paths)} if comparison.shape_paths else {}
        answer |= {"body": _packed(expected.body), "compare": compare}
    named: dict[str, Any] = {"name": case.name} if case.name else {}
    return named | {"request": asked | {"body": _packed(request.body)}, "answer": answer}


def _packed(body: bytes) -> dict[str, Any]:
    """Return a body in the most readable form that gives the same bytes again."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    try:
        value = json.loads(text)
    except ValueError:
        return {"text": text}
    return {"json": value} if json.dumps(value).encode() == body else {"text": text}


def _legacy_document(text: str) -> dict[str, Any] | None:
    """Return the content of a golden.json; None if the text is another file."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) and "cases" in document else None


def _legacy_cases(document: Mapping[str, Any], where: str) -> tuple[Case, ...]:
    try:
        tolerance = Comparison("json", absolute=float(document.get("tolerance", 0.0)))
        content_type = str(document.get("content_type", JSON))
        cases = [_legacy_case(case, content_type, tolerance) for case in document["cases"]]
    except (KeyError, TypeError, ValueError) as error:
        raise GoldenError(f"{where} is no golden set: {error!r}.", fix=_FIX) from None
    if not cases:
        raise GoldenError(f"{where} has no cases.", fix=_FIX)
    return tuple(cases)


def _legacy_case(case: Mapping[str, Any], content_type: str, tolerance: Comparison) -> Case:
    body = json.dumps({"instances": [case["instance"]]}).encode()
    request = Request(body, content_type, accept=JSON)
    if "prediction" not in case:
        return Case(request, Expected(None))
    answer = json.dumps({"predictions": [case["prediction"]]}).encode()
    return Case(request, Expected(answer, JSON, comparison=tolerance))
