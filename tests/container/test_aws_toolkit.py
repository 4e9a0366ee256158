"""Programs get from this container what AWS's own toolkit gives them: both serve the same archives."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from digits.project import DIGITS
from predictor import create_app
from serving.handlers.loading import load
from serving.platform.identity import Identity
from serving.platform.limits import Limits
from tests.container import archives, aws_toolkit
from tests.container.aws_toolkit import Job, Request, ToolkitAnswer

pytestmark = [
    pytest.mark.starts_processes,
    pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning"),
]
IDENTITY = Identity("abc", "0123456789ab")
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
CSV = {"Content-Type": "text/csv", "Accept": "text/csv"}
TORCHSCRIPT = "TorchScript"
TENSORS = (
    Request(b"[[1, 2], [3, 4]]", JSON),
    Request(b"1,2\n3,4\n", {**CSV, "Accept": "application/json"}),
)
RAW = {"Content-Type": "application/octet-stream", "Accept": "application/json"}


@dataclass(frozen=True)
class Served:
    """A program, requests to it, and the environment."""

    source: str
    requests: tuple[Request, ...] = (Request(b"[1, 2]", JSON),)
    environment: Mapping[str, str] = field(default_factory=dict)
    file: str = "inference.py"


M = "def model_fn(d): return 'M'\n"
PROGRAMS = {
    "a body": Served(M + "def transform_fn(m, b, c, a): return f'{m} {b} {c} {a}'"),
    "a body and its type": Served(M + "def transform_fn(m, b, c, a): return b, 'text/x-own'"),
    "a tuple with a status": Served(M + "def transform_fn(m, b, c, a): return b, 'text/x-own', 201"),
    "a tuple of four": Served(M + "def transform_fn(m, b, c, a): return b, 'text/x-own', 201, {}"),
    "a tuple of one": Served(M + "def transform_fn(m, b, c, a): return (b,)"),
    "output_fn's tuple": Served(M + "def predict_fn(d, m): return 1\ndef output_fn(p, a): return 'x', 'text/x', 5"),
    "bytes": Served(
        M + "def transform_fn(m, b, c, a): return repr((type(b).__name__, c))",
        tuple(Request(b"1,2", each) for each in (JSON, CSV, RAW, {"Content-Type": "image/png", **JSON} | RAW)),
    ),
    "the default accept": Served(
        M + "def transform_fn(m, b, c, a): return a",
        (Request(b"1", {**JSON, "Accept": "*/*"}), Request(b"1", {"Content-Type": "text/csv"})),
        {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"},
    ),
    "a status of its own": Served(
        M + "def transform_fn(m, b, c, a, context):\n    context.set_response_status(404, 'gone')\n    return b"
    ),
    "a status for all": Served(
        M + "def transform_fn(m, b, c, a, context):\n    context.set_all_response_status(201, 'made')\n    return b"
    ),
    "report_status": Served(
        M + "def transform_fn(m, b, c, a, context):\n"
        "    context.request_processor[0].report_status(202, reason_phrase='later')\n"
        "    return str(context.get_response_status(0))"
    ),
    "a header of its own": Served(
        M + "def transform_fn(m, b, c, a, context):\n"
        f"    context.set_response_header(0, '{ATTRIBUTES}', 'trace=7')\n"
        "    context.request_processor[0].add_response_property('X-Mine', '1')\n    return b"
    ),
    "the context's properties": Served(
        "def model_fn(d, context): return context.model_name, context.system_properties\n"
        "def transform_fn(m, b, c, a, context):\n"
        "    import os\n"
        "    known = {name: value for name, value in m[1].items() if name != 'model_dir'}\n"
        "    known['model_dir'] = os.path.basename(m[1]['model_dir'])\n"
        "    return str((m[0], sorted(known.items()), type(context.get_request_id(0)).__name__))"
    ),
    "the request's headers": Served(
        M + "def transform_fn(m, b, c, a, context):\n"
        "    every, one = context.get_all_request_header(0), context.get_request_header\n"
        "    return str((one(0, 'Content-Type'), every['Content-Type'], every.get('X-None'), one(0, 'X-None')))"
    ),
    "its metrics": Served(
        M + "def transform_fn(m, b, c, a, context):\n"
        "    metrics = context.metrics\n"
        "    for add in () if metrics is None else (metrics.add_counter, metrics.add_time, metrics.add_size):\n"
        "        add('Mine', 1)\n    return b"
    ),
    "an error": Served(M + "def transform_fn(m, b, c, a): raise ValueError('no')"),
    "an error with a status": Served(
        "from sagemaker_inference.errors import BaseInferenceToolkitError\n" + M
        + "def transform_fn(m, b, c, a): raise BaseInferenceToolkitError(422, 'no', 'no')"
    ),
    "named without .py": Served(
        M + "def transform_fn(m, b, c, a): return b", environment={"SAGEMAKER_PROGRAM": "other"}, file="other.py"
    ),
    "a transformer of its own": Served(
        "from sagemaker_inference.transformer import Transformer\n"
        "from sagemaker_inference.default_handler_service import DefaultHandlerService\n"
        "OWN = DefaultHandlerService(Transformer())\n" + M
        + "def input_fn(b, c): return b\n"
        "def predict_fn(d, m): return d + m\n"
        "def output_fn(p, a): return p + str(isinstance(OWN._service, Transformer))"
    ),
    "pre_model_fn and model_warmup_fn": Served(
        "CALLED = []\ndef pre_model_fn(d): CALLED.append('before')\ndef model_fn(d): CALLED.append('load')\n"
        "def model_warmup_fn(d, m): CALLED.append('after')\n"
        "def transform_fn(m, b, c, a): return ' '.join(CALLED)"
    ),
    "the model's folder": Served(
        M + "import beside\ndef transform_fn(m, b, c, a): return beside.WORD",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Undo the program's changes to sys.path and sys.modules after its test."""
    modules, path = dict(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - modules.keys():
        if name in ("inference", "other", "beside") or name.startswith("sagemaker_inference"):
            del sys.modules[name]


def ours(
    model_dir: Path, requests: tuple[Request, ...], environment: Mapping[str, str]
) -> list[ToolkitAnswer]:
    handler = load(model_dir, environment, DIGITS)
    handler.warm_up()
    client = create_app(handler, IDENTITY, Limits(payload_mb=1, timeout_seconds=60)).test_client()
    answers = [client.post("/invocations", data=one.body, headers=dict(one.headers)) for one in requests]
    return [ToolkitAnswer(one.status_code, dict(one.headers), one.data) for one in answers]


def visible(answer: ToolkitAnswer) -> dict[str, object]:
    """Return what a caller sees of an answer, without the wording of an error."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    attributes = headers.get(ATTRIBUTES.lower(), "").replace(IDENTITY.header, "").strip(";")
    seen: dict[str, object] = {
        "status": answer.status,
        "attributes": attributes,
        "x-mine": headers.get("x-mine"),
    }
    if answer.status < 300:
        seen |= {"body": answer.body, "type": headers["content-type"].partition(";")[0]}
    return seen


@pytest.fixture(scope="module")
def archive_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write every program's archive, and one of TorchScript alone."""
    found = {}
    for name, served in PROGRAMS.items():
        found[name] = archives.program(tmp_path_factory.mktemp("model"), served.source, served.file)
        (found[name] / "beside.py").write_text("WORD = 'beside the weights'")
    return {**found, TORCHSCRIPT: archives.torchscript(tmp_path_factory.mktemp("model"))}


@pytest.fixture(scope="module")
def theirs(archive_of: dict[str, Path]) -> dict[str, list[ToolkitAnswer]]:
    """Return the answers of AWS's toolkit, by the archive's name."""
    jobs = [Job(archive_of[name], one.requests, one.environment) for name, one in PROGRAMS.items()]
    found = aws_toolkit.answers([*jobs, Job(archive_of[TORCHSCRIPT], TENSORS)])
    return dict(zip([*PROGRAMS, TORCHSCRIPT], found, strict=True))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_answered_as_by_awss_toolkit(
    archive_of: dict[str, Path], theirs: dict[str, list[ToolkitAnswer]], name: str
) -> None:
    served = PROGRAMS[name]

    found = ours(archive_of[name], served.requests, served.environment)

    assert [visible(one) for one in found] == [visible(one) for one in theirs[name]]


def test_torchscript_alone_is_answered_as_by_awss_toolkit(
    archive_of: dict[str, Path], theirs: dict[str, list[ToolkitAnswer]]
) -> None:
    found = ours(archive_of[TORCHSCRIPT], TENSORS, {})

    numbers = [(one.status, json.loads(one.body)) for one in found]
    assert numbers == [(one.status, json.loads(one.body)) for one in theirs[TORCHSCRIPT]]
