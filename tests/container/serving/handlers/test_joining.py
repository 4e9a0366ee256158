"""Inputs of several requests are joined where that is possible, and predictions are split as the inputs were."""

import io
from collections import UserDict, namedtuple
from typing import Any

import numpy as np
import pytest
import torch

from serving.handlers.joining import CannotSplit, Joining, rows, split, structure

Pair = namedtuple("Pair", ["scores", "labels"])
PADDED = Joining({"input_ids": 0, "attention_mask": 0})


class Encoding(UserDict[str, Any]):
    """A mapping with more to it than a dict, as tokenizers return."""

    def __init__(self, data: dict[str, Any], origin: str = "") -> None:
        super().__init__(data)
        self.origin = origin


def tokens(*lengths: int, value: int = 7) -> dict[str, torch.Tensor]:
    """Make a request's token ids, of one length, for as many texts."""
    shape = (len(lengths), lengths[0])
    return {"input_ids": torch.full(shape, value), "attention_mask": torch.ones(shape, dtype=torch.int64)}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.arange(6.0).reshape(2, 3), np.ones((1, 3))),
        (torch.arange(6.0).reshape(2, 3), torch.ones((1, 3))),
        (torch.zeros(2, 3, 4, 4, dtype=torch.bfloat16), torch.ones(1, 3, 4, 4, dtype=torch.bfloat16)),
        (np.array(["a", "b"]), np.array(["c"])),
    ],
)
def test_arrays_of_one_type_and_shape_but_for_the_first_axis_are_joined_and_split(
    first: Any, second: Any
) -> None:
    joining = Joining()
    assert joining.kind(first) == joining.kind(second) is not None

    joined = joining.join([first, second])
    parts = split(joined, [rows(first), rows(second)])

    assert type(joined) is type(first)
    assert joined.dtype == first.dtype
    for part, whole in zip(parts, (first, second), strict=True):
        assert part.shape == whole.shape
        assert bool((part == whole).all())


def test_dicts_are_joined_array_by_array_and_keep_their_class() -> None:
    first = Encoding({"pixels": torch.zeros(2, 3), "sizes": np.array([1, 2])}, "tokenizer")
    second = Encoding({"sizes": np.array([3]), "pixels": torch.ones(1, 3)})
    joining = Joining()
    assert joining.kind(first) == joining.kind(second) is not None

    joined = joining.join([first, second])

    assert isinstance(joined, Encoding)
    assert joined.origin == "tokenizer"
    assert joined["pixels"].tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]
    assert joined["sizes"].tolist() == [1, 2, 3]
    assert rows(first) == 2
    assert first["sizes"].tolist() == [1, 2], "the request's own input is as it was"


@pytest.mark.parametrize(
    "data",
    [
        "text", b"bytes", 3, None, [1, 2], ["a"], (torch.ones(1, 2), torch.ones(1, 2)), {},
        torch.tensor(3.0), np.float32(3), np.array(3.0), np.array([{}], dtype=object), np.zeros((0, 3)),
        torch.nn.Parameter(torch.ones(1)), torch.ones(2, 2).to_sparse(), np.ma.masked_array([1], [True]),
        {"a": torch.ones(2), "b": torch.ones(3)}, {"a": torch.ones(2), "top_k": 5}, {1: torch.ones(2)},
    ],
)  # fmt: skip
def test_anything_else_is_predicted_alone(data: Any) -> None:
    assert Joining({"a": 0.0}).kind(data) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (torch.ones(1, 3), torch.ones(1, 4)),
        (torch.ones(1, 3), torch.ones(1, 3, dtype=torch.float64)),
        (torch.ones(1, 3), np.ones((1, 3), dtype=np.float32)),
        (torch.ones(1, 3), torch.ones(3)),
        ({"a": torch.ones(1, 3)}, {"b": torch.ones(1, 3)}),
        ({"a": torch.ones(1, 3)}, torch.ones(1, 3)),
        ({"a": torch.ones(1, 3)}, Encoding({"a": torch.ones(1, 3)})),
        (tokens(5), tokens(6)),
    ],
)
def test_inputs_of_different_types_shapes_or_names_are_of_different_kinds(first: Any, second: Any) -> None:
    kinds = {Joining().kind(first), Joining().kind(second)}

    assert len(kinds) == 2
    assert None not in kinds


@pytest.mark.parametrize("convert", [lambda tensor: tensor, lambda tensor: tensor.numpy()])
def test_named_arrays_are_padded_to_the_longest_in_the_batch(convert: Any) -> None:
    short, long = ({name: convert(one) for name, one in tokens(*each).items()} for each in ((2,), (4, 4)))
    assert PADDED.kind(short) == PADDED.kind(long)

    joined = PADDED.join([short, long])

    assert joined["input_ids"].tolist() == [[7, 7, 0, 0], [7, 7, 7, 7], [7, 7, 7, 7]]
    assert joined["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert joined["input_ids"].dtype == short["input_ids"].dtype


def test_only_the_named_arrays_are_padded() -> None:
    first, second = ({**tokens(length), "more": torch.ones(1, length)} for length in (2, 4))

    assert PADDED.kind(first) != PADDED.kind(second)


def test_only_structures_that_were_proven_are_joined() -> None:
    proven = structure(Joining().kind(torch.ones(1, 3)))
    joining = Joining(structures=frozenset([proven]))

    assert joining.kind(torch.ones(5, 9)) is not None, "sizes do not matter"
    assert joining.kind(torch.ones(1, 3, dtype=torch.int64)) is None
    assert joining.kind(torch.ones(1, 3, 3)) is None
    assert joining.kind(np.ones((1, 3))) is None
    assert joining.kind({"a": torch.ones(1, 3)}) is None


def test_predictions_of_several_parts_are_split_part_by_part() -> None:
    scores, labels = torch.arange(3.0), ["a", "b", "c"]

    assert split([*labels], [1, 2]) == [["a"], ["b", "c"]]
    for prediction in (
        Pair(scores, labels),
        {"scores": scores, "labels": labels},
        Encoding({"labels": labels}),
    ):
        first, second = split(prediction, [1, 2])
        assert type(first) is type(second) is type(prediction)
    named = split(Pair(scores, labels), [1, 2])
    assert (named[1].scores.tolist(), named[1].labels) == ([1, 2], ["b", "c"])
    plain = split((scores, labels), [1, 2])
    assert (plain[0][0].tolist(), plain[0][1]) == ([0], ["a"])
    assert split({"labels": labels}, [1, 2]) == [{"labels": ["a"]}, {"labels": ["b", "c"]}]


@pytest.mark.parametrize(
    ("prediction", "says"),
    [
        (torch.ones(1, 1), r"Tensor of shape \(1, 1\) for 3 rows"),
        (np.ones((4, 2)), r"ndarray of shape \(4, 2\) for 3 rows"),
        (torch.tensor(1.0), r"Tensor of shape \(\) for 3 rows"),
        ([1, 2], "a list of 2 for 3 rows"),
        ({"scores": torch.ones(3), "loss": 0.5}, "float, which has no rows"),
        (("a", torch.ones(3)), "str, which has no rows"),
        ((part for part in "abc"), "generator, which has no rows"),
        ("abc", "str, which has no rows"),
        (None, "NoneType, which has no rows"),
        ((), "tuple, which has no rows"),
    ],
)
def test_a_prediction_without_a_part_for_each_row_is_refused(prediction: Any, says: str) -> None:
    with pytest.raises(CannotSplit, match=f"^{says}$"):
        split(prediction, [1, 2])


def test_a_part_holds_no_other_requests_rows_not_even_in_its_storage() -> None:
    """torch.save writes the whole storage of a view, which would be everybody's predictions."""
    first, _ = split(torch.arange(1000.0), [1, 999])

    file = io.BytesIO()
    torch.save(first, file)

    assert first.untyped_storage().nbytes() == 4
