"""Arrays in NumPy's file formats, read without NumPy.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html (NPY 1.0 to 3.0); NPZ is a zip of them.
"""

import ast
import io
import math
import struct
import zipfile
from dataclasses import dataclass
from typing import Any

_MAGIC, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_CODES = {
    "b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
_MOST_BYTES = 64 << 20  # unpacked, of one array: SageMaker's largest payload is 25 MB


class NotNpy(ValueError):
    """Bytes that are no array of numbers in a format known here."""


@dataclass(frozen=True)
class Array:
    """Numbers in the order of the file. `kind`: a letter and the bytes a number, such as f4."""

    kind: str
    shape: tuple[int, ...]
    is_fortran: bool
    values: tuple[Any, ...]

    def index(self, number: int) -> tuple[int, ...]:
        """Return the index of the value at this position of the file."""
        found = []
        for size in self.shape if self.is_fortran else reversed(self.shape):
            number, place = divmod(number, size)
            found.append(place)
        return tuple(found if self.is_fortran else reversed(found))


def is_npy(body: bytes) -> bool:
    """Return True if the bytes begin as an NPY or NPZ file does."""
    return body.startswith((_MAGIC, _ZIP))


def read(body: bytes) -> dict[str, Array]:
    """Read the arrays of an NPZ file by name; that of an NPY file has the name ''. Raises NotNpy."""
    if not body.startswith(_ZIP):
        return {"": _array(body)}
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            return {
                each.filename.removesuffix(".npy"): _array(_unpack(packed, each))
                for each in packed.infolist()
            }
    except zipfile.BadZipFile as error:
        raise NotNpy(str(error)) from None


def _unpack(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with packed.open(member) as content:
        unpacked = content.read(_MOST_BYTES + 1)
    if len(unpacked) > _MOST_BYTES:
        raise NotNpy(f"{member.filename} has more than {_MOST_BYTES >> 20} MiB")
    return unpacked


def _array(body: bytes) -> Array:
    try:
        return _parsed(body)
    except (ValueError, KeyError, TypeError, SyntaxError, IndexError, struct.error) as error:
        if isinstance(error, NotNpy):
            raise
        raise NotNpy(f"{type(error).__name__}: {error}") from None


def _parsed(body: bytes) -> Array:
    if not body.startswith(_MAGIC):
        raise NotNpy(f"it begins with {body[:6]!r}")
    length, start = ("<H", 10) if body[6] == 1 else ("<I", 12)
    (size,) = struct.unpack(length, body[8:start])
    header = ast.literal_eval(body[start : start + size].decode())
    order, kind = header["descr"][0], header["descr"][1:]
    if kind not in _CODES:
        raise NotNpy(f"arrays of type {header['descr']} are not compared")
    shape = tuple(int(each) for each in header["shape"])
    content = body[start + size :]
    values = struct.unpack(f"{'>' if order == '>' else '<'}{math.prod(shape)}{_CODES[kind]}", content)
    return Array(kind, shape, bool(header["fortran_order"]), values)
