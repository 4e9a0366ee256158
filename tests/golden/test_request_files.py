"""Requests come from folders and files; their media type from the name, or from the file beside them."""

from pathlib import Path

import pytest

from golden import Case, Expected, GoldenError, Request, write
from golden.request_files import read_requests


def folder(tmp_path: Path, **files: bytes) -> Path:
    for name, content in files.items():
        (tmp_path / name.replace("__", ".")).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.json", "application/json"), ("a.csv", "text/csv"), ("a.npy", "application/x-npy"), ("a.txt", "text/plain"),
        ("a.png", "image/png"), ("A.JPG", "image/jpeg"), ("a.wav", "audio/x-wav"),
    ],
)  # fmt: skip
def test_the_extension_gives_the_media_type(tmp_path: Path, name: str, content_type: str) -> None:
    (tmp_path / name).write_bytes(b"\x00")

    (case,) = read_requests([tmp_path])

    assert case == Case(Request(b"\x00", content_type), Expected(None), name)


def test_a_file_beside_a_request_gives_its_media_type(tmp_path: Path) -> None:
    source = folder(tmp_path, cat__png=b"\x89", picture=b"\xff")
    (source / "cat.png.content-type").write_text("application/x-image\n")
    (source / "picture.content-type").write_text("image/webp")

    found = read_requests([source])

    assert [case.request.content_type for case in found] == ["application/x-image", "image/webp"]


def test_a_file_beside_a_request_gives_its_accept_header(tmp_path: Path) -> None:
    source = folder(tmp_path, a__csv=b"1", b__csv=b"2")
    (source / "a.csv.accept").write_text("text/csv\n")

    found = read_requests([source], accept="application/json")

    assert [case.request.accept for case in found] == ["text/csv", "application/json"]


def test_a_json_lines_file_is_one_request_a_line(tmp_path: Path) -> None:
    found = read_requests([folder(tmp_path, many__jsonl=b'[1]\n\n{"a": 2}\n') / "many.jsonl"])

    assert [(case.request.body, case.name) for case in found] == [
        (b"[1]", "many.jsonl:1"),
        (b'{"a": 2}', "many.jsonl:3"),
    ]


def test_a_json_lines_file_with_a_media_type_is_one_request(tmp_path: Path) -> None:
    source = folder(tmp_path, many__jsonl=b"[1]\n[2]\n")
    (source / "many.jsonl.content-type").write_text("application/jsonlines")

    (case,) = read_requests([source])

    assert case.request == Request(b"[1]\n[2]\n", "application/jsonlines")


def test_the_requests_of_a_golden_set_are_asked_again(tmp_path: Path) -> None:
    asked = Case(Request(b"\xff", "image/png", "text/csv", "trace=1"), Expected(b"[1]", "text/csv"), "cat")
    write([asked], tmp_path / "golden.jsonl")

    assert read_requests([tmp_path / "golden.jsonl"]) == [Case(asked.request, Expected(None), "cat")]


def test_options_hold_for_every_request(tmp_path: Path) -> None:
    found = read_requests(
        [folder(tmp_path, a=b"1", b__json=b"2")], content_type="text/csv", accept="text/plain"
    )

    assert {(case.request.content_type, case.request.accept) for case in found} == {
        ("text/csv", "text/plain")
    }


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({}, "There are no requests"),
        ({"a": b"1"}, "no media type belongs to this name"),
        ({"a__jsonl": b"1\n{\n"}, r"a\.jsonl:2 is no JSON"),
    ],
)
def test_a_faulty_source_is_refused_with_the_fix(tmp_path: Path, files: dict[str, bytes], what: str) -> None:
    with pytest.raises(GoldenError, match=what) as caught:
        read_requests([folder(tmp_path, **files)])

    assert caught.value.fix


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"There is no .*nowhere"):
        read_requests([tmp_path / "nowhere"])
