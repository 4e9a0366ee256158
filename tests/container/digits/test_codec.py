"""Whatever a caller sends is images, or one sentence that says what is wrong and where."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.codec import BRIGHTEST, MAX_INSTANCES, PIXELS, decode, encode
from serving.handlers import media
from serving.handlers.errors import BadPrediction, BadRequest
from serving.http.errors import error_body
from tests.numpy_files import npy, npz

DIGIT = [*range(17), *range(17), *range(17), *range(13)]
pixels = st.one_of(st.integers(0, BRIGHTEST), st.floats(0, BRIGHTEST))
rows = st.lists(pixels, min_size=PIXELS, max_size=PIXELS)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=70) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=80,
)
not_pixels = st.one_of(
    st.none(), st.booleans(), st.text(), st.integers(max_value=-1), st.integers(BRIGHTEST + 1),
    st.floats(BRIGHTEST, exclude_min=True), st.floats(max_value=0, exclude_max=True), st.just(float("nan")),
    st.lists(pixels, max_size=3), st.dictionaries(st.text(), pixels, max_size=2),
)  # fmt: skip


def body(instances: Any) -> bytes:
    return json.dumps({"instances": instances}).encode()


def refusal(data: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        decode(data)
    assert caught.value.status == 400
    return str(caught.value)


@given(st.lists(rows, min_size=1, max_size=5))
def test_good_instances_become_the_images_they_say(instances: list[list[float]]) -> None:
    images = decode(body(instances))

    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, np.array(instances, dtype=np.float32))


def assert_is_a_sentence(text: str) -> None:
    assert ": expected " in text
    assert "\n" not in text
    assert len(text) < 300
    assert json.loads(error_body(text)) == {"error": text}


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_one_sentence(data: bytes) -> None:
    assert_is_a_sentence(refusal(data))


@settings(max_examples=200)
@given(json_values)
def test_arbitrary_json_is_refused_in_one_sentence(value: Any) -> None:
    assert_is_a_sentence(refusal(json.dumps(value).encode()))
    assert_is_a_sentence(refusal(json.dumps({"instances": value}).encode()))


@given(st.integers(0, 2), st.integers(0, PIXELS - 1), not_pixels)
def test_a_bad_pixel_is_named_by_its_place(i: int, j: int, value: Any) -> None:
    instances: list[list[Any]] = [list(DIGIT) for _ in range(3)]
    instances[i][j] = value

    assert refusal(body(instances)).startswith(f"instances[{i}][{j}]: expected ")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "body: expected JSON, but line 1, column 1 has a fault: Expecting value"),
        (b'{"instances": [[0,\n', "body: expected JSON, but line 2, column 1 has a fault: Expecting value"),
        (b'{"instances": "\xff"}', "body: expected UTF-8, got the byte 0xff at 15"),
        (b"\xef\xbb\xbf{}", "instances: expected a list, got no such key"),
        (b"[" * 100_000, "body: expected lists nested twice, got far deeper nesting"),
        (b'{"a":' * 100_000, "body: expected lists nested twice, got far deeper nesting"),
        (b'{"instances": [[' + b"9" * 5000 + b"]]}", "body: expected numbers from 0 to 16, got one of thousands"),
        (b"[1]", 'body: expected an object {"instances": [...]}, got a list of 1'),
        (b"null", 'body: expected an object {"instances": [...]}, got null'),
        (b"{}", "instances: expected a list, got no such key"),
        (b'{"instances": [], "instances": []}', 'body: expected each key once, got "instances" twice'),
        (b'{"instances": [], "x": 1}', 'body: expected the key "instances" alone, got "x"'),
        (b'{"instances": {"0": 1}}', "instances: expected a list, got an object"),
        (b'{"instances": []}', f"instances: expected 1 to {MAX_INSTANCES} instances, got 0"),
        (b'{"instances": [7]}', "instances[0]: expected a list of 64 numbers, got 7"),
    ],
)  # fmt: skip
def test_a_malformed_body_is_told_what_and_where(data: bytes, sentence: str) -> None:
    assert refusal(data).startswith(sentence)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ('"x"', 'expected a number, got "x"'),
        ("true", "expected a number, got true"),
        ("null", "expected a number, got null"),
        ("[1]", "expected a number, got a list of 1"),
        ("NaN", "expected 0 to 16, got NaN"),
        ("Infinity", "expected 0 to 16, got Infinity"),
        ("1e999", "expected 0 to 16, got Infinity"),
        ("-1", "expected 0 to 16, got -1"),
        ("16.5", "expected 0 to 16, got 16.5"),
        ("9" * 4000, "expected 0 to 16, got " + "9" * 40 + "..."),
        (r'"\ud800"', r'expected a number, got "\ud800"'),
        ('"' + "y" * 90 + '"', 'expected a number, got "' + "y" * 39 + "..."),
    ],
)
def test_a_bad_pixel_is_quoted(value: str, got: str) -> None:
    row = ",".join(["0"] * 17 + [value] + ["0"] * 46)
    good = ",".join(["0"] * 64)

    assert (
        refusal(f'{{"instances": [[{good}],[{good}],[{good}],[{row}]]}}'.encode())
        == f"instances[3][17]: {got}"
    )


def test_ragged_instances_are_told_which_one_is_short() -> None:
    assert refusal(body([DIGIT, DIGIT[:63]])) == "instances[1]: expected 64 numbers, got 63"


def test_the_most_instances_are_taken_and_one_more_is_not() -> None:
    assert len(decode(body([DIGIT] * MAX_INSTANCES))) == MAX_INSTANCES
    assert refusal(body([DIGIT] * (MAX_INSTANCES + 1))).endswith(f"got {MAX_INSTANCES + 1}")


def test_an_answer_has_a_label_and_ten_probabilities_for_each_instance() -> None:
    probabilities = np.full((2, 10), 0.05, dtype=np.float32)
    probabilities[0, 3] = probabilities[1, 9] = 0.55

    answer = json.loads(encode(probabilities))["predictions"]

    assert [prediction["label"] for prediction in answer] == [3, 9]
    assert answer[1]["probabilities"] == [0.05] * 9 + [0.55]


def test_a_model_that_diverged_is_a_defect_and_not_an_answer() -> None:
    probabilities = np.full((3, 10), 0.1, dtype=np.float32)
    probabilities[1, 4] = np.nan

    with pytest.raises(BadPrediction, match=r"predictions\[1\]: expected finite probabilities"):
        encode(probabilities)


IMAGES = np.array([DIGIT, DIGIT[::-1]])
SOUND = {
    media.JSON: body(IMAGES.tolist()),
    media.JSON_LINES: b"\n".join(json.dumps(row).encode() for row in IMAGES.tolist()) + b"\n\n",
    media.CSV: "\r\n".join(",".join(map(str, row)) for row in IMAGES.tolist()).encode(),
    media.NPY: npy(IMAGES.astype(">f8")),
    media.NPZ: npz(instances=np.asfortranarray(IMAGES)),
}
BAD_SHAPES = [IMAGES[:, :63], IMAGES[:0], IMAGES[0], np.zeros((MAX_INSTANCES + 1, PIXELS), np.uint8)]


@pytest.mark.parametrize("content_type", media.ALL)
def test_images_come_in_every_type(content_type: str) -> None:
    np.testing.assert_array_equal(decode(SOUND[content_type], content_type), IMAGES.astype(np.float32))
    np.testing.assert_array_equal(decode(SOUND[content_type], f"{content_type.upper()}; x=1"), IMAGES)


@pytest.mark.parametrize("content_type", media.ALL)
@given(data=st.data())
def test_a_damaged_body_of_any_type_is_images_or_a_sentence(content_type: str, data: st.DataObject) -> None:
    sound = SOUND[content_type]
    start = data.draw(st.integers(0, len(sound)))
    damaged = sound[:start] + data.draw(st.binary(max_size=8)) + sound[start + data.draw(st.integers(0, 8)) :]

    try:
        images = decode(damaged, content_type)
    except BadRequest as refused:
        assert_is_a_sentence(str(refused))
    else:
        assert images.shape[1] == PIXELS
        assert np.isfinite(images).all()


@pytest.mark.parametrize(
    ("content_type", "sent", "sentence"),
    [
        (media.CSV, b"1,2\n", "instances[0]: expected 64 numbers, got 2"),
        (
            media.CSV,
            SOUND[media.CSV].replace(b"16,", b"x,", 1),
            'instances[0][16]: expected a number, got "x"',
        ),
        (
            media.CSV,
            SOUND[media.CSV].replace(b"16,", b"nan,", 1),
            "instances[0][16]: expected 0 to 16, got NaN",
        ),
        (media.CSV, b"", "instances: expected 1 to 4096 instances, got 0"),
        (media.CSV, b"1\n" * 5000, "instances: expected 1 to 4096 instances, got 5000"),
        (media.CSV, b"1," * 100_000, "instances[0]: expected 64 numbers, got 65"),
        (
            media.JSON_LINES,
            b"[1]\n[1",
            "body: expected JSON, but line 2, column 3 has a fault: Expecting ',' delimiter",
        ),
        (media.NPZ, npz(images=IMAGES), "body: expected one array, named instances, got 'images'"),
        (media.NPY, npy(np.array([{}])), None),
        (
            media.NPY,
            npy(np.where(IMAGES == 16, np.inf, IMAGES)),
            "instances[0][16]: expected 0 to 16, got Infinity",
        ),
        *((media.NPY, npy(array), None) for array in BAD_SHAPES),
    ],
)
def test_a_bad_instance_of_any_type_is_named_by_its_place(
    content_type: str, sent: bytes, sentence: str | None
) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(sent, content_type)

    assert_is_a_sentence(str(caught.value))
    assert sentence in (None, str(caught.value))


def test_a_header_that_promises_terabytes_costs_nothing() -> None:
    sent = npy(IMAGES).replace(b"(2, 64), }          ", b"(99999999999, 64), }")
    assert b"99999999999" in sent

    with pytest.raises(
        BadRequest, match="expected 51199999999488 bytes of data, as the header says, got 1024"
    ):
        decode(sent, media.NPY)


def test_a_zip_bomb_is_not_unpacked() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("instances.npy", bytes(50_000_000))

    with pytest.raises(BadRequest, match="unpacked, got 50000000"):
        decode(file.getvalue(), media.NPZ)


def test_answers_go_out_in_every_type() -> None:
    probabilities = np.eye(10, dtype=np.float32)[[3, 7]]
    json_answer = json.loads(encode(probabilities))["predictions"]

    lines = encode(probabilities, media.JSON_LINES).splitlines()
    assert [json.loads(line) for line in lines] == json_answer
    assert encode(probabilities, media.CSV).splitlines()[1] == b"7,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,0.0"
    np.testing.assert_array_equal(np.load(io.BytesIO(encode(probabilities, media.NPY))), probabilities)
    named = np.load(io.BytesIO(encode(probabilities, media.NPZ)))
    assert named["labels"].tolist() == [3, 7]
    np.testing.assert_array_equal(named["probabilities"], probabilities)


def test_blank_lines_are_no_instances_however_many_there_are() -> None:
    row = b",".join([b"1"] * PIXELS)

    images = decode(b"\n" * 20_000 + row + b"\r\n\r\n" + row, "text/csv")

    assert images.shape == (2, PIXELS)


@pytest.mark.parametrize("field", ['"1', '1"', '"', "\u0661", "1_0", '""1""'])
def test_a_field_of_csv_that_is_no_plain_number_is_refused_with_its_place(field: str) -> None:
    row = ",".join(["1", field, *["1"] * (PIXELS - 2)])

    with pytest.raises(BadRequest, match=r"^instances\[1\]\[1\]: expected a number, got "):
        decode(("1," * (PIXELS - 1) + "1\n\n" + row).encode(), "text/csv")


def test_quotes_round_a_whole_field_of_csv_are_allowed() -> None:
    assert decode(",".join(['"1"'] * PIXELS).encode(), "text/csv").shape == (1, PIXELS)


@pytest.mark.filterwarnings("error")
def test_an_array_of_a_request_may_be_written_to() -> None:
    """PyTorch would print a warning at the first one that may not."""
    images = decode(npy(np.zeros((1, PIXELS), dtype=np.float32)), media.NPY)

    assert images.flags.writeable
