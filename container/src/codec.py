"""Decode what a caller sent into images, and encode what the model answered.

Whatever a caller sends, `decode` returns images or raises BadRequest with one sentence that says
what is wrong and where, such as `instances[3][17]: expected a number, got "x"`.
"""

import json
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

CONTENT_TYPE = "application/json"
PIXELS = 64
BRIGHTEST = 16
MAX_INSTANCES = 4096
_NUMBERS = {int, float}  # by exact type: a bool is an int, but not a number
_LONGEST_QUOTE = 40


class BadPrediction(Exception):  # noqa: N818  # named for what happened
    """The model gave what no caller can use: a defect of the model, not of the request."""


class BadRequest(Exception):  # noqa: N818  # named for what happened
    """What the caller sent cannot be answered; the text says what is wrong, where, and nothing else."""

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def decode(body: bytes) -> NDArray[np.float32]:
    """Turn the body of an invocation, {"instances": [[64 numbers], ...]}, into a batch of images.

    Returns float32 of shape (N, 64), pixels in [0, 16], 1 <= N <= MAX_INSTANCES.

    Raises BadRequest (HTTP 400, with a sentence for the caller) for anything else.
    """
    instances = _instances(_parse(body))
    for row in instances:
        if type(row) is not list or len(row) != PIXELS or not _NUMBERS.issuperset(map(type, row)):
            _refuse_the_first_bad(instances)
    try:
        images = np.array(instances, dtype=np.float64)
    except OverflowError:  # an integer beyond the range of a float
        _refuse_the_first_bad(instances)
    if not (images.min() >= 0 and images.max() <= BRIGHTEST):  # NaN is in no range
        _refuse_the_first_bad(instances)
    return images.astype(np.float32)


def predictions(probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Say in the answer's words what the model found; `probabilities` has shape (N, 10).

    Raises BadPrediction where one is not finite, as weights that have diverged give: it is no JSON
    either, and a wrong answer must not look like a right one.
    """
    if not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise BadPrediction(
            f"predictions[{row}]: expected finite probabilities, got {probabilities[row].tolist()}"
        )
    labels = probabilities.argmax(axis=1).tolist()
    rows = probabilities.astype(np.float64).round(6).tolist()
    return [{"label": label, "probabilities": row} for label, row in zip(labels, rows, strict=True)]


def encode(probabilities: NDArray[np.float32]) -> bytes:
    """The answer to an invocation: JSON, in ASCII, one prediction for each instance, in order."""
    return json.dumps({"predictions": predictions(probabilities)}, separators=(",", ":")).encode()


def encode_error(sentence: str) -> bytes:
    """The body of every answer that is not a success."""
    return json.dumps({"error": sentence}).encode()


def _parse(body: bytes) -> object:
    try:
        return json.loads(body.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"body: expected UTF-8, got the byte 0x{body[error.start]:02x} at {error.start}"
        ) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"body: expected JSON, but {where} has a fault: {error.msg}") from None
    except RecursionError:
        raise BadRequest("body: expected lists nested twice, got far deeper nesting") from None
    except ValueError:  # Python refuses to convert integers of more than 4,300 digits
        raise BadRequest(
            f"body: expected numbers from 0 to {BRIGHTEST}, got one of thousands of digits"
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"body: expected each key once, got {_quote(twice)} twice")
    return result


def _instances(payload: object) -> list[Any]:
    if not isinstance(payload, dict):
        raise BadRequest(f'body: expected an object {{"instances": [...]}}, got {_quote(payload)}')
    for key in payload:
        if key != "instances":
            raise BadRequest(f'body: expected the key "instances" alone, got {_quote(key)}')
    instances = payload.get("instances")
    if not isinstance(instances, list):
        got = _quote(instances) if "instances" in payload else "no such key"
        raise BadRequest(f"instances: expected a list, got {got}")
    if not 1 <= len(instances) <= MAX_INSTANCES:
        raise BadRequest(f"instances: expected 1 to {MAX_INSTANCES} instances, got {len(instances)}")
    return instances


def _refuse_the_first_bad(instances: list[Any]) -> NoReturn:
    for i, row in enumerate(instances):
        if not isinstance(row, list):
            raise BadRequest(f"instances[{i}]: expected a list of {PIXELS} numbers, got {_quote(row)}")
        if len(row) != PIXELS:
            raise BadRequest(f"instances[{i}]: expected {PIXELS} numbers, got {len(row)}")
        for j, pixel in enumerate(row):
            if type(pixel) not in _NUMBERS:
                raise BadRequest(f"instances[{i}][{j}]: expected a number, got {_quote(pixel)}")
            if not 0 <= pixel <= BRIGHTEST:
                raise BadRequest(f"instances[{i}][{j}]: expected 0 to {BRIGHTEST}, got {_quote(pixel)}")
    raise AssertionError("every instance is good; decode refused them in error")


def _quote(value: object) -> str:
    """Show a value of the caller's, shortened, and never more than one level of it."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
