"""The SageMaker Python SDK as a client, beside boto3."""

import json
from typing import Any

import pytest

from smoke_tests.golden import Golden, differences


@pytest.fixture(scope="module")
def sdk_endpoint(endpoint: str) -> Any:
    """The endpoint as the SDK's resource. Imported here: it takes seconds, and only these tests need it.

    `resources` alone, never the SDK's Session: that one asks the real STS whatever AWS_ENDPOINT_URL says.
    """
    from sagemaker.core.resources import Endpoint

    return Endpoint.get(endpoint_name=endpoint)


def test_the_sdk_describes_the_endpoint_as_in_service(sdk_endpoint: Any) -> None:
    assert sdk_endpoint.endpoint_status in {"InService", "Updating"}


def test_the_sdk_gets_the_golden_predictions(sdk_endpoint: Any, golden: Golden) -> None:
    answer = sdk_endpoint.invoke(body=golden.body(), content_type=golden.content_type)

    predictions = json.loads(answer.body.read())["predictions"]
    assert not differences(golden, predictions, range(len(golden.instances)))
