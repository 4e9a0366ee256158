"""A program imports its own modules and its packages, whatever their names; ours shadow none of them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import golden
from golden import Case, Comparison, Expected, Request
from tests.container import archives
from tests.container.serve_process import JSON, SOURCE, Serve

pytestmark = [
    pytest.mark.starts_processes, pytest.mark.parametrize("start", ["gunicorn"], indirect=True)
]  # fmt: skip
Start = Callable[..., Serve]


def own_names() -> list[str]:
    """Return the name of every module in container/src, of its packages, and of its applications."""
    files = [*SOURCE.rglob("*.py"), *(path for path in SOURCE.iterdir() if path.suffix in ("", ".py"))]
    return sorted(
        {path.stem for path in files if path.stem.isidentifier()} - {"__init__", "__main__", "inference"}
    )


def test_a_program_imports_its_own_modules_whatever_their_names(start: Start, tmp_path: Path) -> None:
    """It may have a model.py, a context.py, a predictor.py or even a serving.py beside inference.py."""
    names = [name for name in own_names() if name not in sys.stdlib_module_names]
    assert {"model", "context", "schema", "limits", "worker", "codec", "handler", "media", "paths"} < {*names}
    assert {"batching", "loading", "predictor", "wsgi", "train", "serve", "digits", "serving", "golden"} < {
        *names
    }
    model = archives.namesakes(tmp_path / "model", names)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="1")
    serve.await_ready()

    answer = serve.ask("POST", "/invocations", b"", JSON).json()

    assert answer == {name: str(model / "code" / f"{name}.py") for name in names}
    assert serve.ask("GET", "/metrics").status == 200


PACKAGE_PROGRAM = """
from serving import WORD
from serving.words import OTHER

def model_fn(model_dir):
    return f"{WORD} {OTHER}"

def transform_fn(model, body, content_type, accept):
    return model
"""


def test_a_program_may_have_a_package_called_golden(start: Start, tmp_path: Path) -> None:
    """The server goes on with its own: it has asked the golden cases by the time of the first ping."""
    program = "from golden import WORD\nimport json\ndef model_fn(d): return WORD\n"
    model = archives.program(
        tmp_path / "model", f"{program}def transform_fn(m, b, c, a): return json.dumps(m)"
    )
    (model / "code" / "golden").mkdir()
    (model / "code" / "golden" / "__init__.py").write_text("WORD = 'my own'\n")
    by_json = Comparison("json", absolute=1e-4)
    golden.write([Case(Request(b"{}"), Expected(b'"my own"', comparison=by_json))], model / golden.FILE)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path))
    serve.await_ready()

    assert serve.ask("POST", "/invocations", b"", JSON).json() == "my own"


@pytest.mark.parametrize("program", ["inference.py", "serving.py"])
def test_a_program_may_have_a_package_called_serving_or_be_called_so(
    start: Start, tmp_path: Path, program: str
) -> None:
    code = tmp_path / "model" / "code"
    if program == "inference.py":
        archives.program(tmp_path / "model", PACKAGE_PROGRAM)
        (code / "serving").mkdir()
        (code / "serving" / "__init__.py").write_text("WORD = 'my'\n")
        (code / "serving" / "words.py").write_text("OTHER = 'own'\n")
    else:
        source = "def model_fn(d): return 'my own'\ndef transform_fn(m, b, c, a): return m"
        archives.program(tmp_path / "model", source, program)
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_PROGRAM=program)
    serve.await_ready()

    assert serve.ask("POST", "/invocations", b"", JSON).body == b"my own"


@pytest.mark.parametrize("package", ["serving", "digits", "golden"])
def test_a_package_of_the_programs_has_modules_of_any_name(
    start: Start, tmp_path: Path, package: str
) -> None:
    """Also those of ours; and it may lie beside the weights, or in a folder of PYTHONPATH."""
    own = sorted(path.stem for path in (SOURCE / package).iterdir() if path.stem.isidentifier())
    names = [name for name in own if not name.startswith("__")]
    for place in (tmp_path / "model", tmp_path / "model" / "code", tmp_path / "packages"):
        (place / package).mkdir(parents=True)
        (place / package / "__init__.py").write_text("")
        for name in names:
            (place / package / f"{name}.py").write_text("WHERE = __file__")
    imports = f"from {package} import {', '.join(names)}"
    answer = f"json.dumps([module.WHERE for module in ({', '.join(names)},)])"
    archives.program(
        tmp_path / "model",
        f"import json\n{imports}\ndef model_fn(d): pass\ndef transform_fn(m, b, c, a): return {answer}",
    )

    for place in (tmp_path / "model" / "code", tmp_path / "model", tmp_path / "packages"):
        serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), PYTHONPATH=str(tmp_path / "packages"))
        serve.await_ready()
        answered = serve.ask("POST", "/invocations", b"", JSON).json()
        (place / package).rename(tmp_path / f"once-in-{place.name}")

        assert answered == [str(place / package / f"{name}.py") for name in names]


def test_the_models_folder_is_where_the_program_runs_and_imports_from(start: Start, tmp_path: Path) -> None:
    """As under TorchServe, whose worker runs in it."""
    source = """
import beside_the_weights, os
def model_fn(d): return open("words.txt").read() + beside_the_weights.WORD
def transform_fn(model, body, content_type, accept): return model + os.getcwd()
"""
    model = archives.program(tmp_path / "model", source)
    (model / "words.txt").write_text("relative ")
    (model / "beside_the_weights.py").write_text("WORD = 'path '")
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path))
    serve.await_ready()

    assert serve.ask("POST", "/invocations", b"", JSON).body.decode() == f"relative path {model}"


def test_a_program_is_named_with_py_or_without(start: Start, tmp_path: Path) -> None:
    source = "def model_fn(d): return 'handlers'\ndef transform_fn(m, b, c, a): return m"
    archives.program(tmp_path / "model", source, "handlers.py")
    serve = start(SAGEMAKER_BASE_DIR=str(tmp_path), SAGEMAKER_PROGRAM="handlers")
    serve.await_ready()

    assert serve.ask("POST", "/invocations", b"", JSON).body == b"handlers"
