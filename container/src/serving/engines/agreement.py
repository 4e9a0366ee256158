"""The distance between an engine's predictions and PyTorch's, and the predictions of an export's example."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

EXAMPLE = "engines-golden.npz"  # `instances` and `answers` of `export --example`, for an archive without golden cases


class WrongAnswers(Exception):
    """Predictions that differ too much from the golden ones; the text says by how much."""


@dataclass(frozen=True)
class Agreement:
    """The difference between two sets of predictions."""

    maximum_difference: float  # of any two numbers; NaN if one of them is
    top1_agreement: float  # share of rows whose largest number is in the same place

    def __str__(self) -> str:
        return f"difference {self.maximum_difference:.2g}, top-1 agreement {self.top1_agreement:.2%}"


@dataclass(frozen=True)
class Limit:
    """The least agreement that is allowed."""

    maximum_difference: float
    top1_agreement: float

    def allows(self, agreement: Agreement) -> bool:
        """Return True if `agreement` is within the limit; NaN is not."""
        return (
            agreement.maximum_difference <= self.maximum_difference
            and agreement.top1_agreement >= self.top1_agreement
        )


@dataclass(frozen=True)
class Example:
    """Instances (N, …) of an export's example, and PyTorch's predictions (N, …) for them."""

    instances: NDArray[Any]
    answers: NDArray[np.float32]

    def check(self, answers: NDArray[np.float32], limit: Limit) -> None:
        """Raise WrongAnswers if `answers` differ from PyTorch's by more than `limit`."""
        found = agreement(self.answers, answers)
        if not limit.allows(found):
            raise WrongAnswers(
                f"{EXAMPLE}: expected a difference of at most {limit.maximum_difference:g} and top-1 agreement "
                f"of {limit.top1_agreement:.2%}, got {found}"
            )


def agreement(expected: NDArray[np.float32], got: NDArray[np.float32]) -> Agreement:
    """Compare predictions of shape (N, …); two of different shapes do not agree at all."""
    if expected.shape != got.shape:
        return Agreement(float("inf"), 0.0)
    difference = float(np.abs(expected.astype(np.float64) - got).max())
    same = expected.argmax(axis=-1) == got.argmax(axis=-1) if expected.ndim > 1 else np.ones(1)
    return Agreement(difference, float(np.mean(same)))


def read_example(model_dir: Path) -> Example | None:
    """Read engines-golden.npz; None if there is none. Raises ValueError for an invalid file."""
    path = model_dir / EXAMPLE
    if not path.is_file():
        return None
    try:
        with np.load(path) as arrays:  # no pickles
            return Example(arrays["instances"], arrays["answers"])
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{path}: expected instances with their predictions, got a faulty file ({reason})"
        ) from None


def write_example(example: Example, model_dir: Path) -> None:
    """Write engines-golden.npz; the same arrays give the same bytes."""
    np.savez(model_dir / EXAMPLE, allow_pickle=False, instances=example.instances, answers=example.answers)
