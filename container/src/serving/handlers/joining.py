"""Join the decoded inputs of several requests along their first axis, and split the prediction again.

    joining = Joining()
    joining.kind(data)                       # inputs of one kind can be joined; None: never
    prediction = predict(joining.join([first, second]))
    split(prediction, [rows(first), rows(second)])

Inputs are NumPy arrays, PyTorch tensors, and dicts of them: of one type, and one shape but for the first
axis. A prediction may be any of these, a tuple of them, or a list with an element for each row. PyTorch is
not imported: whoever has a tensor has imported it.
"""

import copy
import sys
from collections.abc import Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_SEQUENCE_AXIS = 1  # of token ids (N, length): it differs between requests, and is padded


class CannotSplit(Exception):
    """A prediction for several requests whose parts cannot be told apart; the text says what it is."""


@dataclass(frozen=True)
class Joining:
    """The inputs that are joined.

    `padding`: the arrays of a dict whose second axis is filled up to the longest in the batch, and with what.
    `structures`: what was seen to be answered the same in a batch; None: anything that can be joined is.
    """

    padding: Mapping[str, float] = field(default_factory=dict)
    structures: frozenset[Hashable] | None = None

    def kind(self, data: Any) -> Hashable | None:
        """Return what is equal for inputs that can be joined, or None for an input that is predicted alone."""
        found: tuple[Any, ...] | None
        if type(data) is np.ndarray and self.structures is None:  # quick, for the project's own model
            found = (data.dtype, data.shape[1:])
            return found if data.shape and len(data) and data.dtype != object else None
        found = self._kind(data)
        if found is None or (self.structures is not None and structure(found) not in self.structures):
            return None
        return found

    def _kind(self, data: Any) -> tuple[Any, ...] | None:
        if not _is_mapping(data):
            return _array_kind(data, is_padded=False)
        kinds = {name: _array_kind(value, is_padded=name in self.padding) for name, value in data.items()}
        if not kinds or None in kinds.values() or len({len(value) for value in data.values()}) != 1:
            return None
        return (type(data), *sorted(kinds.items(), key=repr))

    def join(self, inputs: Sequence[Any]) -> Any:
        """Join inputs of one kind along their first axis."""
        first = inputs[0]
        if len(inputs) == 1:
            return first
        if not _is_mapping(first):
            return _concatenate(inputs)
        joined = copy.copy(first)  # of the same class: a tokenizer's output is more than a dict
        for name in first:
            arrays = [each[name] for each in inputs]
            padding = self.padding.get(name)
            joined[name] = _concatenate(arrays if padding is None else _padded(arrays, padding))
        return joined


@dataclass(frozen=True)
class Batching:
    """The batching that a program's environment asks for."""

    most_rows: int
    joining: Joining


def structure(kind: Hashable) -> Hashable:
    """Return a kind without its sizes: inputs that differ only in them have the same structure."""
    if isinstance(kind, tuple):
        return tuple(structure(each) for each in kind if not isinstance(each, _Sizes))
    return kind


def rows(data: Any) -> int:
    """Return the length of the first axis of an input that has a kind."""
    return len(next(iter(data.values()))) if _is_mapping(data) else len(data)


def split(prediction: Any, counts: Sequence[int]) -> list[Any]:
    """Split a prediction for joined inputs of these many rows into one for each. Raises CannotSplit."""
    total = sum(counts)
    if is_array(prediction):
        if not prediction.shape or len(prediction) != total:
            raise CannotSplit(f"{_described(prediction)} for {total} rows")
        return _slices(prediction, counts)
    if isinstance(prediction, list):
        if len(prediction) != total:
            raise CannotSplit(f"a list of {len(prediction)} for {total} rows")
        return _slices(prediction, counts)
    if isinstance(prediction, tuple) and prediction:
        columns = [split(each, counts) for each in prediction]
        make = getattr(prediction, "_make", tuple)  # of a named tuple
        return [make(parts) for parts in zip(*columns, strict=True)]
    if _is_mapping(prediction) and prediction:
        return _split_mapping(prediction, counts)
    raise CannotSplit(f"{_described(prediction)}, which has no rows")


def is_array(value: Any) -> bool:
    """Return True for a NumPy array or a PyTorch tensor."""
    return isinstance(value, np.ndarray) or _is_tensor(value)


def _split_mapping(prediction: Any, counts: Sequence[int]) -> list[Any]:
    columns = {name: split(value, counts) for name, value in prediction.items()}
    parts = [copy.copy(prediction) for _ in counts]
    for place, part in enumerate(parts):
        for name, column in columns.items():
            part[name] = column[place]
    return parts


def _slices(values: Any, counts: Sequence[int]) -> list[Any]:
    """Return consecutive parts; tensors are copied, since torch.save would write the others' rows too."""
    parts, end = [], 0
    for count in counts:
        begin, end = end, end + count
        part = values[begin:end]
        parts.append(part.clone() if _is_tensor(part) else part)
    return parts


def _is_mapping(data: Any) -> bool:
    return isinstance(data, MutableMapping) and all(isinstance(name, str) for name in data)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _array_kind(value: Any, *, is_padded: bool) -> tuple[Any, ...] | None:
    """Return class, type, device, dimensions and sizes; subclasses may not be joinable, so they have none."""
    if type(value) is np.ndarray:
        if value.dtype == object or not value.shape or not len(value):
            return None
        return (np.ndarray, value.dtype, "", value.ndim, _sizes(value.shape, is_padded=is_padded))
    if not _is_tensor(value) or not value.ndim or not len(value):
        return None
    torch = sys.modules["torch"]
    if type(value) is not torch.Tensor or value.layout != torch.strided or value.is_quantized:
        return None
    sizes = _sizes(tuple(value.shape), is_padded=is_padded)
    return (torch.Tensor, value.dtype, str(value.device), value.ndim, sizes)


@dataclass(frozen=True)
class _Sizes:
    """The lengths of all axes but the first; None for an axis that is padded."""

    lengths: tuple[int | None, ...]


def _sizes(shape: tuple[int, ...], *, is_padded: bool) -> _Sizes:
    lengths: list[int | None] = list(shape[1:])
    if is_padded and len(shape) > _SEQUENCE_AXIS:
        lengths[_SEQUENCE_AXIS - 1] = None
    return _Sizes(tuple(lengths))


def _concatenate(arrays: Sequence[Any]) -> Any:
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays)
    return sys.modules["torch"].cat(list(arrays))


def _padded(arrays: Sequence[Any], value: float) -> list[Any]:
    """Fill the second axis up to the longest, at its end."""
    if arrays[0].ndim <= _SEQUENCE_AXIS:
        return list(arrays)
    longest = max(array.shape[_SEQUENCE_AXIS] for array in arrays)
    return [_filled_up(array, longest, value) for array in arrays]


def _filled_up(array: Any, length: int, value: float) -> Any:
    if array.shape[_SEQUENCE_AXIS] == length:
        return array
    shape = (array.shape[0], length, *array.shape[2:])
    if isinstance(array, np.ndarray):
        filled = np.full(shape, value, dtype=array.dtype)
    else:
        filled = array.new_full(shape, value)
    filled[:, : array.shape[_SEQUENCE_AXIS]] = array
    return filled


def _described(value: Any) -> str:
    """Name a value in a message: its class, and its shape if it has one."""
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return name if shape is None else f"{name} of shape {tuple(shape)}"
