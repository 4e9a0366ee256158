"""Two models with programs of their own: one answers text with CSV, one a PNG with bytes; and their golden sets."""

import io
import struct
import tarfile
import zlib
from dataclasses import dataclass

import golden
from golden import Case, Comparison, Expected, Request

TEXT_PROGRAM = '''
"""Counts words and characters: plain text in, one row of CSV out; raises for an empty text."""


def model_fn(model_dir):
    return lambda text: (len(text.split()), len(text) / 3)


def input_fn(body, content_type):
    text = body if isinstance(body, str) else body.decode()
    if not text:
        raise ValueError("nothing to count")
    return text


def predict_fn(text, model):
    return model(text)


def output_fn(counted, accept):
    words, characters = counted
    return f"{words},{characters:.6f}\\n", "text/csv"
'''

IMAGE_PROGRAM = '''
"""Turns the size of a PNG into four bytes, and streams them for a request that asks for application/x-parts."""

from sagemaker_inference import errors


def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    if content_type != "application/x-image":
        raise errors.UnsupportedFormatError(content_type)
    if body[:4] != b"\\x89PNG":
        raise errors.BaseInferenceToolkitError(400, "no PNG", "no PNG")
    return body[18:20] + body[22:24]


def predict_fn(size, model):
    return size


def output_fn(size, accept):
    if accept == "application/x-parts":
        return iter([size[:2], size[2:]]), "application/octet-stream"
    return size, "application/octet-stream"
'''


@dataclass(frozen=True)
class Program:
    """A program with its golden cases."""

    code: str
    cases: tuple[Case, ...]

    def archive(self) -> bytes:
        """Return a model archive with the program and its golden set."""
        files = {"code/inference.py": self.code.encode(), golden.FILE: golden.serialize(self.cases)}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return packed.getvalue()


def png(width: int, height: int) -> bytes:
    """Return a grey PNG of this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def text_case(text: str) -> Case:
    answer = f"{len(text.split())},{len(text) / 3:.6f}\n".encode()
    return Case(
        Request(text.encode(), "text/plain", accept="text/csv"),
        Expected(answer, "text/csv", comparison=Comparison("text", absolute=1e-4)),
        name=f"{text[:10]}.txt",
    )


def image_case(width: int, height: int, *, is_stream: bool = False) -> Case:
    accept = "application/x-parts" if is_stream else "application/octet-stream"
    return Case(
        Request(png(width, height), "application/x-image", accept, is_stream=is_stream),
        Expected(
            struct.pack(">HH", width, height), "application/octet-stream", comparison=Comparison("bytes")
        ),
        name=f"{width}x{height}.png",
    )


def shape_case() -> Case:
    """Return a case of which only the shape is compared, whose answer therefore differs from the golden one."""
    case = text_case("not the same words")
    return Case(case.request, Expected(b"0,0\n", "text/csv", comparison=Comparison("shape")), "random.txt")


NO_IMAGE = Case(
    Request(b"not a PNG", "application/x-image"),
    Expected(b"no PNG", status=400, comparison=Comparison("shape")),
    name="no image",
)

TEXT = Program(TEXT_PROGRAM, (text_case("some words"), text_case("and some other words"), shape_case()))
IMAGE = Program(
    IMAGE_PROGRAM, (image_case(3, 5), image_case(300, 2), image_case(7, 9, is_stream=True), NO_IMAGE)
)
