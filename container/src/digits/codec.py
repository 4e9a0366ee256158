"""Decode requests into images, and encode predictions into answers.

For any body `decode` returns images or raises BadRequest with one sentence that says what is wrong and
where, such as `instances[3][17]: expected a number, got "x"`.
"""

import io
import itertools
import json
from typing import Any, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.handlers import arrays, media
from serving.handlers.errors import BadPrediction, BadRequest

CONTENT_TYPE = media.JSON
PIXELS = 64
BRIGHTEST = 16
LABELS = 10
MAX_INSTANCES = 4096
_NUMBERS = {int, float}  # by exact type: a bool is an int, but not a number
_LONGEST_QUOTE = 40
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # of UTF-8, which some programs write before a text


def decode(body: bytes, content_type: str = CONTENT_TYPE) -> NDArray[np.float32]:
    """Turn the body of an invocation into a batch of images.

    JSON is {"instances": [[64 numbers], ...]}; JSON Lines and CSV have an image a line; .npy is an
    array of shape (N, 64), and .npz has it under the name `instances`.
    Returns float32 of shape (N, 64), pixels in [0, 16], 1 <= N <= MAX_INSTANCES.

    Raises BadRequest (HTTP 400, with a sentence for the caller) for anything else, and with HTTP 415
    for another content type.
    """
    kind = CONTENT_TYPE if content_type == CONTENT_TYPE else media.essence(content_type)
    if body.startswith(_BYTE_ORDER_MARK):
        body = body.removeprefix(_BYTE_ORDER_MARK)
    if kind in ("", media.JSON):
        images = _plain_images(body)
        return images if images is not None else _images(_instances(_parse(body)))
    if kind == media.JSON_LINES:
        return _images([_parse(line, number) for number, line in _lines(body)])
    if kind == media.CSV:
        return _images([_fields(line) for _, line in _lines(body)])
    if kind == media.NPY:
        return _array_images(arrays.from_npy(body))
    if kind == media.NPZ:
        return _array_images(_named_instances(body))
    raise media.unsupported(content_type)


def blank() -> NDArray[np.float32]:
    """Return one valid instance, shape (1, 64), for the first prediction."""
    return np.zeros((1, PIXELS), dtype=np.float32)


def _plain_images(body: bytes) -> NDArray[np.float32] | None:
    """Decode a plainly valid JSON body fast; return None for any other, which the slower path checks."""
    if body.count(b'"') != 2:  # with one key in the body, no key is there twice
        return None
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    instances = payload.get("instances") if type(payload) is dict else None
    if type(instances) is not list or not 1 <= len(instances) <= MAX_INSTANCES:
        return None
    for row in instances:
        if type(row) is not list or len(row) != PIXELS or not _NUMBERS.issuperset(map(type, row)):
            return None
        if min(row) < 0 or max(row) > BRIGHTEST:
            return None
    return np.array(instances, dtype=np.float32)


def _images(instances: list[Any]) -> NDArray[np.float32]:
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
    """Turn probabilities (N, 10) into the answer's predictions.

    Raises BadPrediction for a number that is not finite, as diverged weights give: JSON cannot hold it, and
    a wrong answer must not look like a right one.
    """
    if not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise BadPrediction(
            f"predictions[{row}]: expected finite probabilities, got {probabilities[row].tolist()}"
        )
    labels = probabilities.argmax(axis=1).tolist()
    rows = probabilities.astype(np.float64).round(6).tolist()
    return [{"label": label, "probabilities": row} for label, row in zip(labels, rows, strict=True)]


def encode(probabilities: NDArray[np.float32], media_type: str = CONTENT_TYPE) -> bytes:
    """Encode the answer in one of `media.ALL`: a prediction for each instance, in order.

    JSON and JSON Lines, in ASCII, have objects; CSV has a line of the label and the probabilities;
    .npy is the probabilities, float32 of shape (N, 10); .npz has `labels` and `probabilities`.
    """
    found = predictions(probabilities)
    if media_type == CONTENT_TYPE:
        return orjson.dumps({"predictions": found})
    if media_type == media.JSON_LINES:
        return b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in found)
    if media_type == media.CSV:
        rows = ([one["label"], *one["probabilities"]] for one in found)
        return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()
    if media_type == media.NPY:
        return arrays.to_npy(probabilities)
    return arrays.to_npz({"labels": probabilities.argmax(axis=1), "probabilities": probabilities})


def _lines(body: bytes) -> list[tuple[int, bytes]]:
    """Return the lines that are not blank, numbered from 1. Raises BadRequest if there are too many."""
    lines = ((number, line) for number, line in enumerate(io.BytesIO(body), start=1) if line.strip())
    found = list(itertools.islice(lines, MAX_INSTANCES))
    return _counted(found, beyond=sum(1 for _ in lines))


def _fields(line: bytes) -> list[float | str]:
    """Return the numbers of a CSV line; other text stays text, so that its error names its place."""
    fields: list[float | str] = []
    for field in line.decode(errors="replace").split(",", PIXELS):
        text = field.strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = text[1:-1]
        try:
            fields.append(float(text) if text.isascii() and "_" not in text else text)
        except ValueError:
            fields.append(text)
    return fields


def _named_instances(body: bytes) -> NDArray[np.generic]:
    most = MAX_INSTANCES * PIXELS * 8 + 4096  # of 8-byte numbers, with a header
    content = arrays.from_npz(body, most_bytes=most)
    if list(content) != ["instances"]:
        names = ", ".join(ascii(name[:_LONGEST_QUOTE]) for name in list(content)[:3]) or "none"
        raise BadRequest(f"body: expected one array, named instances, got {names}")
    return content["instances"]


def _array_images(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.ndim != 2 or array.shape[1] != PIXELS:
        raise BadRequest(f"instances: expected an array of shape (N, {PIXELS}), got {array.shape[:8]}")
    if not 1 <= len(array) <= MAX_INSTANCES:
        raise BadRequest(f"instances: expected 1 to {MAX_INSTANCES} instances, got {len(array)}")
    if not (array.min() >= 0 and array.max() <= BRIGHTEST):  # NaN is in no range
        _refuse_the_first_bad(array.tolist())
    return np.array(array, dtype=np.float32, order="C")  # a copy: PyTorch warns of what it may not write


def _parse(body: bytes, line: int = 1) -> object:
    try:
        return json.loads(body.decode(), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"body: expected UTF-8, got the byte 0x{body[error.start]:02x} at {error.start}"
        ) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno + line - 1}, column {error.colno}"
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
    return _counted(instances)


def _counted(instances: list[Any], beyond: int = 0) -> list[Any]:
    count = len(instances) + beyond
    if not 1 <= count <= MAX_INSTANCES:
        raise BadRequest(f"instances: expected 1 to {MAX_INSTANCES} instances, got {count}")
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
    raise AssertionError("decode refused instances that are all valid")


def _quote(value: object) -> str:
    """Show a caller's value, shortened, and only one level of it."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
