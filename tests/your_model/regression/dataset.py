"""The training data: lines of ten numbers and a target; every fifth line is held out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.codec import FEATURES

FILE = "numbers.csv"
HELD_OUT_EVERY = 5


class BadData(ValueError):
    """Training data that cannot be used; the text says which file, and why."""


@dataclass(frozen=True)
class Numbers:
    """`rows` is float32 of shape (N, 10), `targets` of shape (N, 1)."""

    rows: NDArray[np.float32]
    targets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)


def read(channel: Path) -> Numbers:
    """Read numbers.csv out of a channel. Raises BadData."""
    try:
        table = np.loadtxt(channel / FILE, delimiter=",", dtype=np.float32, ndmin=2)
    except (OSError, ValueError) as error:
        raise BadData(f"{channel / FILE}: {error}") from error
    if table.shape[1] != FEATURES + 1 or len(table) < HELD_OUT_EVERY:
        raise BadData(f"{channel / FILE}: expected {FEATURES + 1} numbers a line, got {table.shape}")
    return Numbers(table[:, :-1].copy(), table[:, -1:].copy())


def split(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Return (training, held out)."""
    held_out = np.arange(len(numbers)) % HELD_OUT_EVERY == 0
    return (
        Numbers(numbers.rows[~held_out], numbers.targets[~held_out]),
        Numbers(numbers.rows[held_out], numbers.targets[held_out]),
    )
