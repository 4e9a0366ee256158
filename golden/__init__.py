"""Golden cases: requests to a model, and what their answers must be.

    golden_set = golden.read(Path("golden.jsonl"))
    for case in golden_set.cases:
        status, content_type, body = ask(case.request)
        difference = golden.first_difference(case, Answer(status, content_type, body))

Container, pipeline, smoke tests, load tests and rehearsal read and compare golden cases with this package alone.
It needs only the standard library: the image has a copy of it. `cases.py` has the types, `files.py` reads and writes
`golden.jsonl`, `comparer.py` compares, `npy.py` reads arrays, `schema.json` is the format's JSON Schema.
"""

from golden.cases import (
    Answer,
    Case,
    Comparison,
    Expected,
    GoldenError,
    GoldenSet,
    Request,
)
from golden.comparer import first_difference
from golden.files import FILE, LEGACY_FILE, parse, read, read_folder, serialize, write

__all__ = [
    "FILE",
    "LEGACY_FILE",
    "Answer",
    "Case",
    "Comparison",
    "Expected",
    "GoldenError",
    "GoldenSet",
    "Request",
    "first_difference",
    "parse",
    "read",
    "read_folder",
    "serialize",
    "write",
]
