"""schemathesis sends requests from container/openapi.json to `serve`: never a 5xx, always as documented."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.container.conftest import path_of
from tests.container.serve_process import CONTAINER, Serve

pytestmark = pytest.mark.starts_processes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve` with the committed archive, behind nginx, its workers counted."""
    serve = Serve(
        {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, path=path_of("nginx", tmp_path_factory.mktemp("no"))
    )
    serve.await_ready()
    yield serve
    serve.end()


OPERATIONS = schemathesis.openapi.from_path(str(CONTAINER / "openapi.json"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
requests: st.SearchStrategy[schemathesis.Case[Any]] = st.one_of(
    [
        OPERATIONS[path][method].as_strategy(generation_mode=mode)
        for path, method in (("/invocations", "POST"), ("/ping", "GET"))
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(case=requests)
def test_no_request_of_the_document_or_beside_it_is_a_server_error(
    served: Serve, case: schemathesis.Case[Any]
) -> None:
    workers = {worker.pid for worker in served.child("gunicorn").children()}

    case.call_and_validate(base_url=f"http://127.0.0.1:{served.port}", checks=CHECKS, timeout=30)

    assert {worker.pid for worker in served.child("gunicorn").children()} == workers
