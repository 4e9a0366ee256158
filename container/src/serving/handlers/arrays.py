"""Read and write .npy and .npz files of untrusted callers.

NumPy's own reader evaluates the header, and allocates and unpacks whatever it declares. This one only
matches the header against patterns, and compares sizes before it allocates memory.
"""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from serving.handlers.errors import BadRequest

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 4096
_MOST_DIMENSIONS = 32
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
_DESCR = re.compile(r"'descr'\s*:\s*'([<>|=]?(?:[iu][1248]|f[248]))'")
_ORDER = re.compile(r"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(r"'shape'\s*:\s*\(([\d,\s]{0,200})\)")


def from_npy(data: bytes, *, where: str = "body") -> NDArray[np.generic]:
    """Read the array of integers or floats in a .npy file; read-only, without a copy.

    Raises BadRequest for anything else: objects, strings, a size other than the header's.
    """
    header, start = _header(data, where)
    descr, order, shape = _DESCR.search(header), _ORDER.search(header), _SHAPE.search(header)
    if descr is None or order is None or shape is None:
        raise BadRequest(f"{where}: expected an array of integers or floats, got the header {header[:80]!a}")
    sizes = [int(size) for size in shape[1].replace(",", " ").split()]
    if 0 in sizes or len(sizes) > _MOST_DIMENSIONS:
        raise BadRequest(
            f"{where}: expected up to {_MOST_DIMENSIONS} dimensions, none empty, got {shape[1][:40]!a}"
        )
    dtype = np.dtype(descr[1])
    expected, got = math.prod(sizes) * dtype.itemsize, len(data) - start
    if expected != got:
        raise BadRequest(f"{where}: expected {expected} bytes of data, as the header says, got {got}")
    flat = np.frombuffer(data, dtype, offset=start)
    return flat.reshape(sizes, order="F" if order[1] == "True" else "C")


def from_npz(data: bytes, *, most_bytes: int) -> dict[str, NDArray[np.generic]]:
    """Read the named arrays in a .npz archive of at most `most_bytes` when unpacked.

    Raises BadRequest for anything else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = archive.infolist()
            unpacked = sum(file.file_size for file in files)
            if unpacked > most_bytes:
                raise BadRequest(f"body: expected at most {most_bytes} bytes unpacked, got {unpacked}")
            if not all(file.compress_type in _METHODS for file in files):
                raise BadRequest("body: expected members that are stored or deflated, got another method")
            # The declared size may be wrong, so no more than that is read.
            contents = {}
            for file in files:
                with archive.open(file) as member:
                    contents[file.filename.removesuffix(".npy")] = member.read(file.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadRequest(f"body: expected a .npz archive, got a faulty one ({str(error)[:80]!a})") from None
    return {name: from_npy(content, where=ascii(name[:40])) for name, content in contents.items()}


def to_npy(array: NDArray[np.generic]) -> bytes:
    """Write a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def to_npz(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Write a .npz archive, not compressed."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _header(data: bytes, where: str) -> tuple[str, int]:
    """Return the header's text and the offset of the data."""
    if not data.startswith(_MAGIC) or len(data) < 12 or data[6] not in (1, 2, 3):
        raise BadRequest(f"{where}: expected a .npy file, got other bytes")
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    if length > _LONGEST_HEADER or start > len(data):
        raise BadRequest(f"{where}: expected a .npy header within the file, got one of {length} bytes")
    return data[8 + width : start].decode("latin-1"), start
