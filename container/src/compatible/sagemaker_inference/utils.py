"""Files and headers, as the toolkit's module of this name has them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTENT_TYPE_REGEX = re.compile("^[Cc]ontent-?[Tt]ype")


def read_file(path: str, mode: str = "r") -> Any:
    """What is in the file; bytes with mode "rb"."""
    with Path(path).open(mode) as file:
        return file.read()


def write_file(path: str, data: Any, mode: str = "w") -> None:
    """Write `data` into the file; bytes with mode "wb"."""
    with Path(path).open(mode) as file:
        file.write(data)


def retrieve_content_type_header(request_property: Mapping[str, str]) -> str | None:
    """The content type among headers, however it is spelt there, or None."""
    return next((value for key, value in request_property.items() if CONTENT_TYPE_REGEX.match(key)), None)


def parse_accept(accept: str) -> list[str]:
    """The types of an Accept header, in the order they stand there."""
    return accept.replace(" ", "").split(",")


def remove_crlf(illegal_string: str) -> str:
    """The text in one line, with spaces where lines ended: what a header can hold."""
    return illegal_string.replace("\r", " ").replace("\n", " ")
