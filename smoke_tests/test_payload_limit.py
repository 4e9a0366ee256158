"""The largest allowed request is answered; a larger one is refused for its size."""

import pytest
from botocore.exceptions import ClientError

from smoke_tests.client import Client
from smoke_tests.golden import Golden, differences

MEGABYTE = 1024 * 1024


@pytest.fixture
def limit(pytestconfig: pytest.Config) -> int:
    """Return the largest body, in bytes."""
    return int(pytestconfig.getoption("--payload-limit-mb")) * MEGABYTE


def test_a_request_of_exactly_the_limit_is_answered(client: Client, golden: Golden, limit: int) -> None:
    """Spaces may follow JSON without changing it: the answer is the golden one."""
    answer = client.predict(golden.body(0).ljust(limit))

    assert not differences(golden, answer.predictions, range(1))


def test_one_byte_more_is_refused_for_its_size(client: Client, golden: Golden, limit: int) -> None:
    with pytest.raises(ClientError) as refused:
        client.predict(golden.body(0).ljust(limit + 1))

    response = refused.value.response
    by_sagemaker = response["ResponseMetadata"]["HTTPStatusCode"] == 413
    by_container = response.get("OriginalStatusCode") == 413
    assert by_sagemaker or by_container, response


def test_the_endpoint_still_answers_afterwards(client: Client, golden: Golden) -> None:
    assert not differences(golden, client.predict(golden.body(0)).predictions, range(1))
