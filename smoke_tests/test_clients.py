"""Clients other than boto3: the SageMaker Python SDK, and curl with its own signature."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from smoke_tests import signed_curl
from smoke_tests.client import Client
from smoke_tests.golden import Golden, differences


@pytest.fixture(scope="module")
def sdk_endpoint(endpoint: str) -> Any:
    """Return the endpoint as the SDK's resource. The import takes seconds, and only these tests need it.

    Only `resources`, never the SDK's Session, which calls the real STS in spite of AWS_ENDPOINT_URL.
    """
    from sagemaker.core.resources import Endpoint

    return Endpoint.get(endpoint_name=endpoint)


@pytest.fixture
def request_file(golden: Golden, tmp_path: Path) -> Path:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    path = tmp_path / "request.json"
    path.write_bytes(golden.body())
    return path


def test_the_sdk_describes_the_endpoint_as_in_service(sdk_endpoint: Any) -> None:
    assert sdk_endpoint.endpoint_status in {"InService", "Updating"}


def test_the_sdk_gets_the_golden_predictions(sdk_endpoint: Any, golden: Golden) -> None:
    answer = sdk_endpoint.invoke(body=golden.body(), content_type=golden.content_type)

    predictions = json.loads(answer.body.read())["predictions"]
    assert not differences(golden, predictions, range(len(golden.instances)))


def test_curl_gets_the_golden_predictions(client: Client, golden: Golden, request_file: Path) -> None:
    status, answer = signed_curl.post(client, request_file, golden.content_type)

    assert status == 200, answer
    predictions = json.loads(answer)["predictions"]
    assert not differences(golden, predictions, range(len(golden.instances)))


def test_curl_gets_a_refusal_as_sagemakers_model_error(client: Client, request_file: Path) -> None:
    request_file.write_text("{not json")
    status, answer = signed_curl.post(client, request_file, "application/json")

    error = json.loads(answer)
    assert status == 424  # SageMaker's, for a model that did not answer 200
    assert error["OriginalStatusCode"] == 400
    assert "JSON" in error["OriginalMessage"]
