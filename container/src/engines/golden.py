"""Golden answers: what PyTorch said of some instances, and how far an engine may be from it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "golden.json"  # {"tolerance": …, "cases": [{"instance": …, "prediction": …}, …]}


class WrongAnswers(Exception):  # noqa: N818  # named for what happened
    """An engine's answers are not the golden ones; the text says by how much."""


@dataclass(frozen=True)
class Agreement:
    """How two sets of answers compare."""

    maximum_difference: float  # of any two numbers; NaN if one of them is
    top1_agreement: float  # share of the last axis' rows whose largest number is in the same place

    def __str__(self) -> str:
        return f"difference {self.maximum_difference:.2g}, top-1 agreement {self.top1_agreement:.2%}"


@dataclass(frozen=True)
class Limit:
    """The Agreement that is asked for, at the least."""

    maximum_difference: float
    top1_agreement: float

    def allows(self, agreement: Agreement) -> bool:
        """Whether it is within: NaN is not."""
        return (
            agreement.maximum_difference <= self.maximum_difference
            and agreement.top1_agreement >= self.top1_agreement
        )


@dataclass(frozen=True)
class Golden:
    """Instances (N, …), PyTorch's answers (N, …) to them if they are known, and the limit to keep."""

    instances: NDArray[Any]
    answers: NDArray[np.float32] | None
    limit: Limit

    @classmethod
    def blank(cls, *shape: int) -> "Golden":
        """One instance of zeros, of `shape`, to which any finite answer is right."""
        return cls(np.zeros((1, *shape), dtype=np.float32), None, Limit(0.0, 1.0))

    def check(self, answers: NDArray[np.float32]) -> None:
        """Raises WrongAnswers where `answers` are further from the golden ones than the limit allows."""
        expected = answers if self.answers is None else self.answers
        found = agreement(expected, answers)
        if not self.limit.allows(found):
            raise WrongAnswers(
                f"{len(answers)} golden cases: expected a difference of at most "
                f"{self.limit.maximum_difference:g} and top-1 agreement of {self.limit.top1_agreement:.2%}, "
                f"got {found}"
            )


def agreement(expected: NDArray[np.float32], got: NDArray[np.float32]) -> Agreement:
    """Compare answers of shape (N, …); those of another shape agree in nothing."""
    if expected.shape != got.shape:
        return Agreement(float("inf"), 0.0)
    difference = float(np.abs(expected.astype(np.float64) - got).max())
    same = expected.argmax(axis=-1) == got.argmax(axis=-1) if expected.ndim > 1 else np.ones(1)
    return Agreement(difference, float(np.mean(same)))


def read(model_dir: Path, dtype: str = "float32") -> Golden | None:
    """What golden.json in `model_dir` holds, or None without one.

    A prediction is a list of numbers as the model gives them, or an object with them as `probabilities`.
    Raises ValueError where the file is something else.
    """
    path = model_dir / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        cases = content["cases"]
        instances = np.array([case["instance"] for case in cases], dtype=dtype)
        answers = np.array([_numbers(case["prediction"]) for case in cases], dtype=np.float32)
        return Golden(instances, answers, Limit(float(content["tolerance"]), 1.0))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{path}: expected instances with their predictions, got a faulty file ({reason})"
        ) from None


def _numbers(prediction: Any) -> Any:
    return prediction["probabilities"] if isinstance(prediction, dict) else prediction
