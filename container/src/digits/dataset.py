"""The training data: lines of 64 pixels and a label, split into a training set and a held-out set."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = "digits.csv.gz"
COLUMNS = 65
LABELS = 10
BRIGHTEST = 16
HELD_OUT_EVERY = 5  # a fifth


class BadData(ValueError):
    """Training data that cannot be used; the text says which file, which line, and why."""


@dataclass(frozen=True)
class Digits:
    """`images` is float32 of shape (N, 64), pixels in [0, 16]; `labels` is int64 of shape (N,)."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def read(channel: Path) -> Digits:
    """Read digits.csv.gz out of a channel. Raises BadData with the line at fault."""
    path = channel / FILE
    if not path.is_file():
        found = sorted(entry.name for entry in channel.iterdir()) if channel.is_dir() else []
        raise BadData(f"{path}: there is no such file (the channel holds: {', '.join(found) or 'nothing'})")
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            rows = [_row(path, number, line) for number, line in enumerate(lines, start=1)]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: not gzipped CSV ({error})") from error
    table = np.array(rows, dtype=np.float32).reshape(-1, COLUMNS)
    digits = Digits(table[:, :-1].copy(), table[:, -1].astype(np.int64))
    counts = np.bincount(digits.labels, minlength=LABELS)
    if counts.min() < HELD_OUT_EVERY:
        raise BadData(
            f"{path}: expected {HELD_OUT_EVERY} images of each digit or more, got {counts.tolist()}"
        )
    return digits


def split(digits: Digits) -> tuple[Digits, Digits]:
    """Hold out every fifth image of each label, whatever the seed, so that accuracies compare.

    Returns (training, held out).
    """
    held_out = np.zeros(len(digits), dtype=bool)
    for label in range(LABELS):
        held_out[np.flatnonzero(digits.labels == label)[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]] = True
    return (
        Digits(digits.images[~held_out], digits.labels[~held_out]),
        Digits(digits.images[held_out], digits.labels[held_out]),
    )


def _row(path: Path, number: int, line: str) -> list[int]:
    cells = line.rstrip("\n").split(",")
    if len(cells) != COLUMNS:
        raise BadData(f"{path}, line {number}: expected {COLUMNS} numbers, got {len(cells)}")
    try:
        row = [int(cell) for cell in cells]
    except ValueError as error:
        raise BadData(f"{path}, line {number}: expected whole numbers ({error})") from None
    if not (min(row) >= 0 and max(row[:-1]) <= BRIGHTEST and row[-1] < LABELS):
        raise BadData(f"{path}, line {number}: expected pixels from 0 to {BRIGHTEST} and a label from 0 to 9")
    return row
