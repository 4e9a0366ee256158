"""An answer as its program sets it is sent, or is the program's fault; and an archive's files are read."""

import codecs
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from digits.project import DIGITS
from predictor import create_app
from serving.handlers.errors import CannotLoad
from serving.handlers.loading import load
from serving.http.service import SERVICE
from serving.platform.identity import HEADER, Identity
from serving.platform.limits import Limits
from tests.container import archives

IDENTITY = Identity("abc", "0123456789ab")


@pytest.fixture(autouse=True)
def _imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo the program's changes to sys.path and sys.modules after its test."""
    import sys

    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("inference", None)


def answer_of(directory: Path, source: str, **headers: str) -> Any:
    archives.program(
        directory, f"def model_fn(d): return 'M'\ndef transform_fn(m, b, c, a, context):\n{source}"
    )
    handler = load(directory, {}, DIGITS)
    handler.warm_up()
    client = create_app(handler, IDENTITY, Limits(1, 60)).test_client()
    return client.post("/invocations", data=b"[1]", headers={"Content-Type": "application/json", **headers})


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (" context.set_response_header(0, 'X-Note', '\u20ac')", "response header X-Note: expected one line of latin-1"),
        (" context.set_response_header(0, 'X-Note', 'a\\r\\nSet-Cookie: b')", "response header X-Note: expected one line"),
        (" context.set_response_header(0, 'X Note', 'a')", "response header: expected a name of letters and -"),
        (" context.set_response_content_type(0, 'text/\u20ac')", "response header Content-Type: expected one line"),
        (" context.set_response_status('gone')", "status: expected 200 to 599 from the program, got 'gone'"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_sent_is_the_programs_fault(tmp_path: Path, source: str, says: str) -> None:
    answer = answer_of(tmp_path, f"{source}\n return 'x'")

    assert (answer.status_code, answer.json["error"][: len(says)]) == (500, says)


def test_headers_that_frame_the_answer_are_the_servers(tmp_path: Path) -> None:
    answer = answer_of(
        tmp_path,
        " context.set_response_header(0, 'Content-Length', '999')\n"
        " context.set_response_header(0, 'X-Mine', '\u00e9')\n return 'x'",
    )

    assert (answer.data, answer.headers["Content-Length"], answer.headers["X-Mine"]) == (b"x", "1", "\u00e9")


def test_custom_attributes_of_the_programs_own_come_before_ours(tmp_path: Path) -> None:
    """Readers take the last of two with one name, so a program cannot take another release's name."""
    answer = answer_of(
        tmp_path, f" context.set_response_header(0, '{HEADER.lower()}', 'a=1;release=b')\n return 'x'"
    )

    assert answer.headers.getlist(HEADER) == [f"a=1;release=b;{IDENTITY.header}"]


def test_a_requests_headers_are_found_by_names_in_any_case(tmp_path: Path) -> None:
    source = """
 every, one = context.get_all_request_header(0), context.request_processor[0].get_request_property
 return str([every["x-caller"], every.get("X-CALLER"), "X-cAller" in every, one("x-Caller"), every.get("no", 7)])
"""

    assert answer_of(tmp_path, source, **{"X-Caller": "me"}).text == "['me', 'me', True, 'me', 7]"


def test_a_programs_metrics_are_lines_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source = " context.metrics.add_time('Mine', 3, 0, 'ms', ['Level:Model'])\n return 'x'"

    assert answer_of(tmp_path, source).status_code == 200
    assert "Mine.Milliseconds:3|#Level:Model" in caplog.text


def test_a_redirection_is_counted(tmp_path: Path) -> None:
    answer = answer_of(tmp_path, " context.set_response_status(302)\n return 'x'")

    assert answer.status_code == 302


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (b"", "utf-8")],
)
def test_a_requirements_file_of_comments_in_utf_16_lists_nothing(
    tmp_path: Path, mark: bytes, encoding: str
) -> None:
    archives.program(tmp_path, "def model_fn(d): pass\ndef transform_fn(m, b, c, a): return 'ok'")
    (tmp_path / "code" / "requirements.txt").write_bytes(mark + "# none\r\n\r\n".encode(encoding))

    handler = load(tmp_path, {}, DIGITS)  # starts no pip

    assert not handler.is_ready


@pytest.mark.starts_processes
def test_a_requirements_file_in_utf_16_is_read(tmp_path: Path) -> None:
    archives.program(tmp_path, "def model_fn(d): pass")
    requirement = "./nowhere-1.0-py3-none-any.whl\r\n".encode("utf-16-le")
    (tmp_path / "code" / "requirements.txt").write_bytes(codecs.BOM_UTF16_LE + requirement)

    with pytest.raises(CannotLoad, match=r"not all of it is in the image.*nowhere-1\.0"):
        load(tmp_path, {}, DIGITS)


PICKLED = "import torch\ndef model_fn(d): return torch.load(d + '/model.pth')\ndef transform_fn(m, b, c, a): return 'ok'"


@pytest.mark.filterwarnings("ignore:Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD:UserWarning")
def test_a_pickled_network_is_refused_with_the_switch_that_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives.program(tmp_path, PICKLED)
    torch.save(torch.nn.Linear(1, 1), tmp_path / "model.pth")
    handler = load(tmp_path, {}, DIGITS)

    with pytest.raises(
        CannotLoad, match="set TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 for an archive that you trust"
    ):
        handler.warm_up()
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    handler.warm_up()

    app = create_app(handler, IDENTITY, Limits(1, 60))
    assert app.extensions[SERVICE].handler.is_ready
