"""Programs that import AWS's toolkit run unchanged, though the toolkit is not in the image."""

import importlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.project import DIGITS
from predictor import create_app
from serving.handlers.loading import load
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.container import archives
from tests.numpy_files import npy

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
COMPATIBLE = Path(__file__).parents[3] / "container" / "src" / "compatible"

# The shape of programs that teams have: a handler class of their own over the toolkit's, a logger of the
# toolkit's, refusals by its errors, its decoder and encoder by content type.
PROGRAM = """
import os

from sagemaker_inference import (
    content_types, decoder, default_inference_handler, encoder, environment, errors, logging, utils
)
from sagemaker_inference.environment import code_dir

logger = logging.get_logger()
SEEN = environment.Environment()


class Handler(default_inference_handler.DefaultInferenceHandler):
    def default_predict_fn(self, data, model, context=None):
        return data * model


handler = Handler()


def model_fn(model_dir):
    logger.info("loads as %s from %s", SEEN.module_name, os.path.basename(code_dir))
    return float(utils.read_file(os.path.join(model_dir, "factor.txt")))


def input_fn(input_data, content_type):
    if content_type == content_types.OCTET_STREAM:
        raise errors.BaseInferenceToolkitError(415, "octets are not for this model", "Unsupported")
    if content_type == "text/plain":
        raise errors.GenericInferenceToolkitError(422)
    return decoder.decode(input_data, content_type)


def predict_fn(data, model):
    return handler.default_predict_fn(data, model)


def output_fn(prediction, accept):
    if accept == "text/csv;own":
        return encoder.encode(prediction, content_types.CSV)
    return handler.default_output_fn(prediction, accept)
"""


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Undo the program's changes to sys.path and sys.modules after its test."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name.split(".")[0] in ("inference", "sagemaker_inference")]:
        del sys.modules[name]


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    archives.program(tmp_path, PROGRAM)
    (tmp_path / "factor.txt").write_text("3")
    return serve(tmp_path)


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import one of the toolkit's modules by its name."""
    monkeypatch.syspath_prepend(str(COMPATIBLE))
    return lambda name: importlib.import_module(f"sagemaker_inference.{name}")


def serve(directory: Path) -> FlaskClient:
    handler = load(directory, {}, DIGITS)
    handler.warm_up()
    limits = Limits(payload_mb=1, timeout_seconds=60)
    return create_app(handler, Identity("abc", "0123456789ab"), limits).test_client()


def ask(client: FlaskClient, body: bytes, content_type: str, accept: str) -> Any:
    return client.post("/invocations", data=body, headers={"Content-Type": content_type, "Accept": accept})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(JSON, b"[[1, 2], [3, 4]]"), (CSV, b"1,2\n3,4\n"), (NPY, npy([[1, 2], [3, 4]]))],
)
@pytest.mark.parametrize("accept", [JSON, CSV, NPY, "image/png, text/csv"])
def test_a_program_over_the_toolkits_handler_class_is_served(
    client: FlaskClient, content_type: str, body: bytes, accept: str
) -> None:
    answer = ask(client, body, content_type, accept)

    assert answer.status_code == 200, answer.text
    assert answer.mimetype == (CSV if "," in accept else accept)
    read = {JSON: lambda: json.loads(answer.data), NPY: lambda: np.load(io.BytesIO(answer.data))}
    rows = read.get(answer.mimetype, lambda: np.loadtxt(io.StringIO(answer.text), delimiter=","))()
    assert np.asarray(rows).tolist() == [[3, 6], [9, 12]]


def test_the_toolkits_errors_choose_status_and_message(client: FlaskClient) -> None:
    octets = ask(client, b"\x00", "application/octet-stream", JSON)
    plain = ask(client, b"x", "text/plain", JSON)
    unknown = ask(client, b"x", "image/png", JSON)
    unwritable = ask(client, b"[1]", JSON, "image/png")

    assert (octets.status_code, octets.json["error"]) == (
        415,
        "BaseInferenceToolkitError: octets are not for this model",
    )
    assert (plain.status_code, plain.json["error"]) == (422, "GenericInferenceToolkitError: Invalid Request")
    assert (unknown.status_code, unwritable.status_code) == (500, 500)
    assert unknown.json["error"].startswith("UnsupportedFormatError: image/png is not supported by default")


def test_a_pickle_in_a_request_is_not_opened(client: FlaskClient) -> None:
    answer = ask(client, npy(np.array([{"a": 1}], dtype=object)), NPY, JSON)

    assert answer.status_code == 500
    assert "allow_pickle" in answer.json["error"]


def test_a_toolkit_of_the_users_own_comes_first(tmp_path: Path) -> None:
    archives.program(
        tmp_path,
        "from sagemaker_inference import WHOSE\ndef model_fn(d): return d\n"
        "def transform_fn(model, body, content_type, accept): return WHOSE",
    )
    (tmp_path / "code" / "sagemaker_inference.py").write_text("WHOSE = 'mine'")

    assert ask(serve(tmp_path), b"", JSON, JSON).text == "mine"


def test_text_in_csv_stays_text(toolkit: Any) -> None:
    decoded = toolkit("decoder").decode("a,b\nc,d\n", CSV)

    assert decoded.tolist() == [["a", "b"], ["c", "d"]]


def test_a_sparse_matrix_needs_scipy_and_says_so(toolkit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)

    with pytest.raises(ImportError, match="add scipy to code"):
        toolkit("decoder").decode(b"", "application/x-npz")


def test_a_sparse_matrix_is_read_where_scipy_is(toolkit: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    file = io.BytesIO()
    sparse.save_npz(file, sparse.csr_matrix([[0, 2], [0, 0]]))

    assert toolkit("decoder").decode(file.getvalue(), "application/x-npz").toarray().tolist() == [
        [0, 2],
        [0, 0],
    ]


def test_the_environment_is_sagemakers(toolkit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "SAGEMAKER_PROGRAM": "handlers.py",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "30",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        "SAGEMAKER_BASE_DIR": "/base",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    environment = toolkit("environment")
    seen = environment.Environment()

    assert (environment.model_dir, environment.code_dir) == ("/base/model", "/base/model/code")
    assert (seen.module_name, seen.model_server_workers, seen.model_server_timeout) == ("handlers", "2", 30)
    assert (seen.max_request_size, seen.default_accept, seen.inference_http_port) == (6 << 20, JSON, "8080")


def test_headers_and_files_as_the_toolkits_utils_have_them(toolkit: Any, tmp_path: Path) -> None:
    utils = toolkit("utils")
    utils.write_file(str(tmp_path / "f"), b"\x01", "wb")

    assert utils.read_file(str(tmp_path / "f"), "rb") == b"\x01"
    assert utils.retrieve_content_type_header({"Accept": "*/*", "contentType": CSV}) == CSV
    assert utils.retrieve_content_type_header({}) is None
    assert utils.remove_crlf("a\r\nb") == "a  b"
