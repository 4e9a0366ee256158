"""A user's inference.py is served unchanged, and by the toolkit's defaults where it says nothing."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.project import DIGITS
from predictor import create_app
from serving.handlers.errors import CannotLoad
from serving.handlers.loading import load
from serving.platform.identity import HEADER, Identity
from serving.platform.limits import Limits
from tests.container import archives
from tests.numpy_files import npy, npz

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
IDENTITY = Identity("abc", "0123456789ab")
JSON = "application/json"


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Undo the program's changes to sys.path and sys.modules after its test."""
    modules, path = dict(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in ("inference", "handlers", "model"):
        sys.modules.pop(name, None)
    sys.modules.update({name: module for name, module in modules.items() if name not in sys.modules})


def serve(directory: Path, **environ: str) -> FlaskClient:
    handler = load(directory, environ, DIGITS)
    handler.warm_up()
    return create_app(handler, IDENTITY, Limits(payload_mb=1, timeout_seconds=60)).test_client()


def ask(client: FlaskClient, body: Any, content_type: str = JSON, accept: str = JSON) -> Any:
    return client.post("/invocations", data=body, headers={"Content-Type": content_type, "Accept": accept})


def answer_of(tmp_path: Path, source: str, **environ: str) -> Any:
    return ask(serve(archives.program(tmp_path, f"def model_fn(d): return 'M'\n{source}"), **environ), "[1]")


def test_an_image_as_bytes_and_a_type_of_the_teams_own(tmp_path: Path) -> None:
    client = serve(archives.brightness(tmp_path))

    answer = ask(client, bytes([10, 20]), "application/x-image", "application/vnd.brightness")

    assert (answer.status_code, answer.text) == (200, "brightness 30.0")
    assert answer.mimetype == "application/vnd.brightness"
    assert answer.headers[HEADER] == IDENTITY.header


def test_a_module_called_like_one_of_ours_is_the_users(tmp_path: Path) -> None:
    client = serve(archives.brightness(tmp_path))

    assert ask(client, json.dumps({"inputs": [1, 2]})).json == {"brightness": 3.0}
    assert Path(str(sys.modules["model"].__file__)).parent == tmp_path / "code"


def test_what_user_code_raises_reaches_the_caller_and_its_traceback_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(archives.brightness(tmp_path))

    answer = ask(client, b"x", "text/plain")

    assert answer.status_code == 500
    assert answer.json == {"error": "ValueError: Unsupported content type: text/plain"}
    assert answer.headers[HEADER] == IDENTITY.header
    assert "Traceback" in caplog.text
    assert "inference.py" in caplog.text
    assert client.get("/ping").status_code == 200


def test_an_error_with_a_status_of_its_own_keeps_it(tmp_path: Path) -> None:
    answer = answer_of(
        tmp_path,
        """
class BaseInferenceToolkitError(Exception):
    def __init__(self, status_code, message, phrase):
        self.status_code, self.message, self.phrase = status_code, message, phrase

def input_fn(body, content_type):
    raise BaseInferenceToolkitError(422, "no face in the image", "x")
""",
    )

    assert answer.status_code == 422
    assert answer.json == {"error": "BaseInferenceToolkitError: no face in the image"}


TORCHSCRIPT_IN = [
    (JSON, b"[[2, 4], [6, 8]]"),
    ("application/jsonlines", b"[2, 4]\n[6, 8]\n"),
    ("text/csv", b"2,4\n6,8\n"),
]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        *TORCHSCRIPT_IN,
        ("application/x-npy", npy(np.array([[2, 4], [6, 8]], dtype=">f8"))),
        ("application/x-npz", npz(x=np.array([[2.0, 4], [6, 8]], order="F"))),
    ],
)
def test_torchscript_alone_takes_tensors_in_every_type(
    tmp_path: Path, content_type: str, body: bytes
) -> None:
    answer = ask(serve(archives.torchscript(tmp_path)), body, content_type)

    assert (answer.status_code, answer.json) == (200, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", b"[[1.0, 2.0], [3.0, 4.0]]"),
        ("application/jsonlines", b"[1.0, 2.0]\n[3.0, 4.0]\n"),
        ("image/png, text/csv;q=0.5", b"1.0,2.0\n3.0,4.0\n"),
        ("application/x-npy", npy(np.array([[1, 2], [3, 4]], dtype=np.float32))),
    ],
)
def test_torchscript_alone_answers_by_accept(tmp_path: Path, accept: str, expected: bytes) -> None:
    answer = ask(serve(archives.torchscript(tmp_path)), b"[[2, 4], [6, 8]]", accept=accept)

    assert answer.data == expected
    assert answer.mimetype == (accept.split(", ")[-1].split(";")[0] or JSON)


@pytest.mark.parametrize(
    ("content_type", "body", "accept", "status"),
    [
        (JSON, b'[["x"]]', JSON, 400),
        (JSON, b"{", JSON, 400),
        (JSON, b"\xff", JSON, 400),
        (JSON, b"[" * 100_000, JSON, 400),
        ("text/csv", b"a,b", JSON, 400),
        ("text/csv", b"", JSON, 400),
        ("application/x-npy", b"\x93NUMPY", JSON, 400),
        ("image/png", b"x", JSON, 415),
        (JSON, b"[1]", "image/png", 406),
        (JSON, b"[NaN]", JSON, 400),
    ],
)
def test_the_defaults_refuse_what_is_no_tensor(
    tmp_path: Path, content_type: str, body: bytes, accept: str, status: int
) -> None:
    answer = ask(serve(archives.torchscript(tmp_path)), body, content_type, accept)

    assert answer.status_code == status
    assert list(answer.json) == ["error"]


def test_transform_fn_does_it_all_and_may_name_its_type(tmp_path: Path) -> None:
    answer = answer_of(
        tmp_path,
        """
def transform_fn(model, body, content_type, accept):
    return f"{model} {body} {content_type} {accept}", "text/plain"
""",
    )

    assert answer.text == "M [1] application/json application/json"
    assert answer.mimetype == "text/plain"


def test_every_function_may_ask_for_the_context(tmp_path: Path) -> None:
    answer = answer_of(
        tmp_path,
        """
def model_fn(d, context): return context.system_properties["model_dir"] == d
def input_fn(body, content_type, context): return [context.get_request_header(0, "Accept")]
def predict_fn(data, model, context): return [*data, model]
def output_fn(prediction, accept, context):
    context.set_response_content_type(0, "text/x-own")
    context.set_response_header(0, "X-Mine", "1")
    return prediction
""",
    )

    assert json.loads(answer.data) == [JSON, True]
    assert answer.mimetype == "text/x-own"
    assert answer.headers["X-Mine"] == "1"


@pytest.mark.parametrize(
    "source",
    [
        "def transform_fn(m, b, c, a): return (part for part in ['a', b'b', 'c'])",
        "def input_fn(b, c): return b\ndef predict_fn(d, m):\n    yield 'a'\n    yield b'b'\n    yield 'c'",
    ],
)
def test_a_generator_goes_out_in_parts(tmp_path: Path, source: str) -> None:
    answer = answer_of(tmp_path, source)

    assert list(answer.response) == [b"a", b"b", b"c"]
    assert "Content-Length" not in answer.headers
    assert answer.headers["X-Accel-Buffering"] == "no"


def test_a_generator_that_fails_at_once_is_a_500(tmp_path: Path) -> None:
    answer = answer_of(tmp_path, "def transform_fn(m, b, c, a):\n    raise KeyError('k')\n    yield 'a'")

    assert (answer.status_code, answer.json) == (500, {"error": "KeyError: 'k'"})


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("SystemExit(3)", "SystemExit: 3"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("__import__('asyncio').CancelledError", "CancelledError"),
    ],
)
@pytest.mark.parametrize("first", ["", "\n    yield 'a'"])
def test_what_would_end_a_process_is_an_error_of_its_request(
    tmp_path: Path, raised: str, says: str, first: str
) -> None:
    answer = answer_of(tmp_path, f"def transform_fn(m, b, c, a):\n    raise {raised}{first}")

    assert (answer.status_code, answer.json) == (500, {"error": says})


def test_ping_is_200_only_after_model_fn_returned(tmp_path: Path) -> None:
    directory = archives.program(tmp_path, "def model_fn(d): raise OSError('no weights')")
    handler = load(directory, {}, DIGITS)
    client = create_app(handler, IDENTITY, Limits(payload_mb=1, timeout_seconds=60)).test_client()

    assert client.get("/ping").status_code == 503
    (tmp_path / "code" / "inference.py").write_text("def model_fn(d): return 1")
    assert client.get("/ping").status_code == 200


def test_the_model_is_loaded_once_and_warmed_by_the_users_own_function(tmp_path: Path) -> None:
    source = """
calls = []
def pre_model_fn(d): calls.append("pre")
def model_fn(d): calls.append("model")
def model_warmup_fn(d, model): calls.append("warm")
def transform_fn(m, b, c, a): return calls
"""
    client = serve(archives.program(tmp_path, source))
    client.get("/ping")

    assert ask(client, "[1]").json == ["pre", "model", "warm"]


def test_program_and_folder_are_those_of_the_environment(tmp_path: Path) -> None:
    source = "def model_fn(d): return d\ndef transform_fn(m, b, c, a): return m"
    archives.program(tmp_path / "elsewhere", source, "handlers.py")
    (tmp_path / "model").mkdir()
    environ = {
        "SAGEMAKER_PROGRAM": "handlers.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": f"file://{tmp_path}/elsewhere/code",
    }

    assert ask(serve(tmp_path / "model", **environ), "[1]").text == str(tmp_path / "model")


def test_an_address_of_the_submitted_folder_means_the_one_in_the_archive(tmp_path: Path) -> None:
    client = serve(archives.brightness(tmp_path), SAGEMAKER_SUBMIT_DIRECTORY="s3://bucket/sourcedir.tar.gz")

    assert ask(client, json.dumps({"inputs": [1, 2]})).json == {"brightness": 3.0}


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/octet-stream", "bytes"),
        ("text/csv; charset=utf-8", "str"),
        ("application/x-npy", "bytes"),
    ],
)
def test_handlers_get_text_of_text_and_bytes_of_everything_else(
    tmp_path: Path, content_type: str, kind: str
) -> None:
    source = "def model_fn(d): pass\ndef transform_fn(m, body, c, a): return type(body).__name__ + ' ' + c"

    answer = ask(serve(archives.program(tmp_path, source)), b"1,2", content_type)

    assert answer.text == f"{kind} {content_type}"


def test_the_default_accept_is_that_of_the_environment(tmp_path: Path) -> None:
    client = serve(archives.torchscript(tmp_path), SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")

    assert ask(client, "[2, 4]", accept="*/*").text == "1.0\n2.0\n"


@pytest.mark.parametrize(
    ("source", "environ", "says"),
    [
        ("", {"SAGEMAKER_PROGRAM": "other.py"}, "other.py: there is no such program"),
        ("", {"SAGEMAKER_MULTI_MODEL": "true"}, "this container serves one model"),
        ("", {"SAGEMAKER_CONTAINER_LOG_LEVEL": "loud"}, "expected a number or one of DEBUG"),
        ("", {}, "expected one TorchScript file"),
        (
            "def model_fn(d): pass",
            {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "a/b"},
            "expected one of application/json",
        ),
        ("1/0", {}, "inference.py: ZeroDivisionError"),
        ("def model_fn(): pass", {}, "model_fn: expected 1 arguments, and a context or none; got ()"),
        ("def transform_fn(m, b, c, a): pass\ndef input_fn(b, c): pass", {}, "expected transform_fn alone"),
    ],
)
def test_what_cannot_be_served_is_said_at_start(
    tmp_path: Path, source: str, environ: dict[str, str], says: str
) -> None:
    archives.program(tmp_path, source)

    with pytest.raises(CannotLoad, match=r"^[^\n]+$") as caught:
        serve(tmp_path, **environ)

    assert says in str(caught.value)


def test_variables_without_effect_are_named_in_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(
        archives.torchscript(tmp_path),
        SAGEMAKER_TS_BATCH_SIZE="8", SAGEMAKER_SAFE_PORT_RANGE="1-2", TS_JOB_QUEUE_SIZE="9", HOME="/",
    )  # fmt: skip

    assert capsys.readouterr().err == (
        "serve: without effect here, as there is no TorchServe: SAGEMAKER_SAFE_PORT_RANGE, TS_JOB_QUEUE_SIZE\n"
    )


@pytest.mark.starts_processes
def test_requirements_that_are_there_are_enough(tmp_path: Path) -> None:
    archives.program(tmp_path, "def model_fn(d): pass\ndef transform_fn(m, b, c, a): return 'ok'")
    (tmp_path / "code" / "requirements.txt").write_text("# ours\nnumpy>=1\n")

    assert ask(serve(tmp_path), "[1]").text == "ok"


@pytest.mark.starts_processes
@pytest.mark.parametrize("environ", [{}, {"SERVE_INSTALL_REQUIREMENTS": "1"}])
def test_requirements_that_cannot_be_met_stop_the_start(tmp_path: Path, environ: dict[str, str]) -> None:
    archives.program(tmp_path, "")
    (tmp_path / "code" / "requirements.txt").write_text("./nowhere-1.0-py3-none-any.whl\n")

    with pytest.raises(
        CannotLoad, match=r"requirements\.txt: .*(not all of it is in the image|cannot be installed)"
    ):
        load(tmp_path, environ, DIGITS)


def test_the_log_level_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Any] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: chosen.append(options["level"]))
    archives.torchscript(tmp_path)

    load(tmp_path, {}, DIGITS)
    load(tmp_path, {"SAGEMAKER_CONTAINER_LOG_LEVEL": "10"}, DIGITS)

    assert chosen == [logging.INFO, logging.DEBUG]
