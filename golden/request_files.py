"""Requests from files: one a file by its extension, one a line of a JSON Lines file, or those of a golden set."""

import json
import mimetypes
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from golden.cases import JSON, Case, Expected, GoldenError, Request
from golden.files import parse

CONTENT_TYPE, ACCEPT = (
    ".content-type",
    ".accept",
)  # files beside a request: NAME.content-type has its media type
_JSON_LINES = ".jsonl"
_TYPES = {
    ".json": JSON,
    ".csv": "text/csv",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".txt": "text/plain",
}


def read_requests(sources: Iterable[Path], *, content_type: str = "", accept: str = "") -> list[Case]:
    """Read the requests of files and folders, as cases without an answer, in the order of their names.

    `content_type`: of all of them; otherwise that of the file NAME.content-type beside a request, or of its extension.
    `accept`: the Accept header of those for which no file NAME.accept names one. Raises GoldenError for a source without requests.
    """
    cases = [case for source in sources for case in _of_source(source, content_type)]
    if not cases:
        raise GoldenError(
            "There are no requests.", fix="Name a file, or a folder with a file for each request."
        )
    return [
        replace(case, request=replace(case.request, accept=case.request.accept or accept)) for case in cases
    ]


def _of_source(source: Path, content_type: str) -> Iterator[Case]:
    if not source.exists():
        raise GoldenError(
            f"There is no {source}.", fix="Name a file, or a folder with a file for each request."
        )
    if not source.is_dir():
        yield from _of_file(source, content_type)
        return
    for path in sorted(source.iterdir()):
        if (
            path.is_file()
            and not path.name.startswith(".")
            and not path.name.endswith((CONTENT_TYPE, ACCEPT))
        ):
            yield from _of_file(path, content_type)


def _of_file(path: Path, content_type: str) -> Iterator[Case]:
    stated = content_type or _beside(path, CONTENT_TYPE)
    if path.suffix == _JSON_LINES and not stated:
        yield from _of_lines(path)
        return
    request = Request(path.read_bytes(), stated or _guessed(path), accept=_beside(path, ACCEPT))
    yield Case(request, Expected(None), path.name)


def _beside(path: Path, suffix: str) -> str:
    """Return what the file NAME + `suffix` beside a request says; empty without one."""
    file = path.with_name(path.name + suffix)
    return file.read_text().strip() if file.is_file() else ""


def _of_lines(path: Path) -> Iterator[Case]:
    """Yield the requests of a golden set, or one JSON body a line."""
    lines = [(number, line) for number, line in enumerate(path.read_bytes().split(b"\n"), 1) if line.strip()]
    if lines and all(_is_golden(line) for _, line in lines):
        for case in parse(path.read_bytes(), str(path)):
            yield Case(case.request, Expected(None), case.name)
        return
    for number, line in lines:
        try:
            json.loads(line)
        except ValueError as error:
            raise GoldenError(
                f"{path}:{number} is no JSON: {error}.",
                fix=f"A .jsonl file is one JSON request a line; write a media type into {path.name}{CONTENT_TYPE} "
                "to send the whole file as one request.",
            ) from None
        yield Case(Request(line, JSON), Expected(None), f"{path.name}:{number}")


def _is_golden(line: bytes) -> bool:
    try:
        parse(line, "")
    except GoldenError:
        return False
    return True


def _guessed(path: Path) -> str:
    found = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
    if found is None:
        raise GoldenError(
            f"{path}: no media type belongs to this name.",
            fix=f"Write it into {path}{CONTENT_TYPE}, or give --content-type.",
        )
    return found
