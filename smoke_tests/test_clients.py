"""Clients other than boto3: the SageMaker Python SDK, and curl with its own signature."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import golden
from smoke_tests import signed_curl
from smoke_tests.client import Client
from smoke_tests.expectations import require_right
from smoke_tests.openapi import ApiDescription


@pytest.fixture(scope="module")
def sdk_endpoint(endpoint: str) -> Any:
    """Return the endpoint as the SDK's resource. The import takes seconds, and only these tests need it.

    Only `resources`, never the SDK's Session, which calls the real STS in spite of AWS_ENDPOINT_URL.
    """
    from sagemaker.core.resources import Endpoint

    return Endpoint.get(endpoint_name=endpoint)


@pytest.fixture
def request_file(unstreamed: golden.Case, tmp_path: Path) -> Path:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    path = tmp_path / "request"
    path.write_bytes(unstreamed.request.body)
    return path


def test_the_sdk_describes_the_endpoint_as_in_service(sdk_endpoint: Any) -> None:
    assert sdk_endpoint.endpoint_status in {"InService", "Updating"}


def test_the_sdk_gets_a_golden_answer(sdk_endpoint: Any, unstreamed: golden.Case) -> None:
    request = unstreamed.request
    words = {"accept": request.accept} if request.accept else {}
    words |= {"custom_attributes": request.custom_attributes} if request.custom_attributes else {}
    answer = sdk_endpoint.invoke(body=request.body, content_type=request.content_type, **words)

    require_right(unstreamed, golden.Answer(200, answer.content_type, answer.body.read()))


def test_curl_gets_a_golden_answer(client: Client, unstreamed: golden.Case, request_file: Path) -> None:
    status, answer = signed_curl.post(client, request_file, unstreamed.request)

    require_right(unstreamed, golden.Answer(status, "", answer))


def test_curl_gets_a_refusal_as_sagemakers_model_error(
    client: Client, api: ApiDescription, request_file: Path
) -> None:
    request_file.write_text("{not json")
    status, answer = signed_curl.post(client, request_file, golden.Request(b"", api.request_types[0]))

    error = json.loads(answer)
    assert status == 424  # SageMaker's, for a model that did not answer 200
    assert error["OriginalStatusCode"] == 400
    assert "JSON" in error["OriginalMessage"]
