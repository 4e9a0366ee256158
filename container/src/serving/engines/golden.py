"""Golden cases: instances with PyTorch's predictions, and how far an engine's may differ."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

FILE = "golden.json"  # {"tolerance": …, "cases": [{"instance": …, "prediction": …}, …]}
ARRAYS = "engines-golden.npz"  # `instances` and `answers` of a user's program


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
class Golden:
    """Instances (N, …), PyTorch's predictions (N, …) if they are known, and the limit for engines."""

    instances: NDArray[Any]
    answers: NDArray[np.float32] | None
    limit: Limit

    @classmethod
    def blank(cls, *shape: int) -> "Golden":
        """Make one instance of zeros, for which any finite prediction is right."""
        return cls(np.zeros((1, *shape), dtype=np.float32), None, Limit(0.0, 1.0))

    def check(self, answers: NDArray[np.float32]) -> None:
        """Raise WrongAnswers if `answers` differ from the golden ones by more than the limit."""
        expected = answers if self.answers is None else self.answers
        found = agreement(expected, answers)
        if not self.limit.allows(found):
            raise WrongAnswers(
                f"{len(answers)} golden cases: expected a difference of at most "
                f"{self.limit.maximum_difference:g} and top-1 agreement of {self.limit.top1_agreement:.2%}, "
                f"got {found}"
            )


def agreement(expected: NDArray[np.float32], got: NDArray[np.float32]) -> Agreement:
    """Compare predictions of shape (N, …); two of different shapes do not agree at all."""
    if expected.shape != got.shape:
        return Agreement(float("inf"), 0.0)
    difference = float(np.abs(expected.astype(np.float64) - got).max())
    same = expected.argmax(axis=-1) == got.argmax(axis=-1) if expected.ndim > 1 else np.ones(1)
    return Agreement(difference, float(np.mean(same)))


def read(model_dir: Path) -> Golden | None:
    """Read the golden cases in `model_dir`: engines-golden.npz, else golden.json; None without either.

    In golden.json a prediction is an object with `probabilities`. Raises ValueError for an invalid file.
    """
    try:
        if (model_dir / ARRAYS).is_file():
            with np.load(model_dir / ARRAYS) as arrays:  # no pickles
                return Golden(arrays["instances"], arrays["answers"], Limit(1e-4, 1.0))
        if (model_dir / FILE).is_file():
            return _from_json((model_dir / FILE).read_text())
    except (ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{model_dir}: expected golden instances with their predictions, got a faulty file ({reason})"
        ) from None
    return None


def write_arrays(instances: NDArray[Any], answers: NDArray[np.float32], model_dir: Path) -> None:
    """Write engines-golden.npz; the same arrays give the same bytes."""
    np.savez(model_dir / ARRAYS, allow_pickle=False, instances=instances, answers=answers)


def _from_json(text: str) -> Golden:
    content = json.loads(text)
    cases = content["cases"]
    if not cases:
        raise ValueError("no cases")
    instances = np.array([case["instance"] for case in cases], dtype=np.float32)
    answers = [case["prediction"]["probabilities"] for case in cases]
    return Golden(instances, np.array(answers, dtype=np.float32), Limit(float(content["tolerance"]), 1.0))
