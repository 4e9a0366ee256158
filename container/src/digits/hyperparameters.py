"""The settings of one training job, from SageMaker's hyperparameters.json."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

# SageMaker's own: its SDK adds `sagemaker_program` and the like, tuning jobs `_tuning_objective_metric`.
_RESERVED = ("sagemaker_", "_")


class BadHyperparameter(ValueError):
    """A hyperparameter that is unknown or out of range; the text says which and what is allowed."""


@dataclass(frozen=True)
class Hyperparameters:
    """The settings; hyperparameters.json spells `batch_size` as `batch-size`."""

    epochs: int = 24
    batch_size: int = 64
    learning_rate: float = 0.003
    seed: int = 0


_RANGES: dict[str, tuple[Callable[[str], float], float, float]] = {
    "epochs": (int, 1, 1000),
    "batch_size": (int, 1, 4096),
    "learning_rate": (float, 1e-6, 1.0),
    "seed": (int, 0, 2**32 - 1),
}


def read(path: Path) -> Hyperparameters:
    """Read the file that SageMaker writes; without it, or where it is empty, the defaults hold.

    Raises BadHyperparameter.
    """
    if not path.is_file():
        return Hyperparameters()
    try:
        given = json.loads(path.read_text())
    except ValueError as error:
        raise BadHyperparameter(f"{path}: expected JSON ({error})") from None
    if not isinstance(given, dict):
        raise BadHyperparameter(f"{path}: expected one JSON object")
    return parse(given)


def parse(given: Mapping[str, object]) -> Hyperparameters:
    """Turn SageMaker's strings into numbers. Raises BadHyperparameter for the first invalid one."""
    known = [field.name.replace("_", "-") for field in fields(Hyperparameters)]
    values: dict[str, float] = {}
    for name, value in given.items():
        if name.startswith(_RESERVED):
            continue
        if name not in known:
            raise BadHyperparameter(
                f"hyperparameter {name!r} is unknown; known are {', '.join(sorted(known))}"
            )
        values[name.replace("-", "_")] = _number(name, value)
    return Hyperparameters(**values)  # type: ignore[arg-type]  # _RANGES holds int for the int fields


def _number(name: str, value: object) -> float:
    convert, least, most = _RANGES[name.replace("-", "_")]
    kind = "a whole number" if convert is int else "a number"
    try:
        number = convert(str(value))
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise BadHyperparameter(
            f"hyperparameter {name!r}: expected {kind} from {least:g} to {most:g}, got {value!r}"
        )
    return number
