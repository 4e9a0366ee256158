"""InvokeEndpoint: what reaches the container, what comes back, and every error in SageMaker's form."""

import http.client
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

import local_aws
from local_aws.testing import wait_until
from testbed.serving import SETTINGS, Serving, refused

pytestmark = pytest.mark.starts_processes


@pytest.fixture(scope="module")
def endpoint(aws: local_aws.Running) -> Iterator[tuple[Serving, str]]:
    serving = Serving(aws)
    yield serving, serving.endpoint(serving.config("one", instances=2))
    serving.close()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Start an AWS that waits 0.3 s for a container, and takes bodies of a thousand bytes."""
    root = tmp_path_factory.mktemp("impatient")
    limits = {
        "invocation_timeout_seconds": 0.3,
        "max_payload_bytes": 1000,
        "state_dir": root,
        "cache_dir": root,
    }
    with local_aws.start(**{**SETTINGS, **limits}) as aws:
        yield Serving(aws)


def test_requests_are_spread_over_the_instances(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    with serving.traffic(name) as traffic:
        wait_until(lambda: len(traffic.answers) >= 200, "200 answers")

    counts = {i: sum(a.instance == i for a in traffic.answers) for i in {a.instance for a in traffic.answers}}
    assert len(counts) == 2
    assert min(counts.values()) > 0.3 * len(traffic.answers)


@pytest.mark.parametrize("field", ["TargetModel", "SessionId", "InferenceComponentName"])
def test_a_header_that_is_not_imitated_is_refused(endpoint: tuple[Serving, str], field: str) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint

    assert "not imitated" in refused("ValidationError", call, EndpointName=name, Body=b"", **{field: "abc"})


def test_an_inference_id_has_at_most_64_characters(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint

    assert call(EndpointName=name, Body=b"", InferenceId="i" * 64)
    assert "at 'inferenceId' failed to satisfy constraint" in refused(
        "ValidationError", call, EndpointName=name, Body=b"", InferenceId="i" * 65
    )


def test_asynchronous_invocation_is_refused(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint_async

    refused("NotImplementedByLocalAws", call, EndpointName=name, InputLocation="s3://bucket/key")


def test_a_body_sent_in_chunks_is_limited_too(impatient: Serving) -> None:
    name = impatient.endpoint(impatient.config())

    assert "413" in _status_of_chunks(impatient.aws.url, name, [b"x" * 600] * 2)
    assert "200" in _status_of_chunks(impatient.aws.url, name, [b"x" * 400] * 2)


def test_a_container_that_is_too_slow_is_a_model_error(impatient: Serving) -> None:
    name = impatient.endpoint(impatient.config(SLOW="1"))
    with pytest.raises(ClientError) as caught:
        impatient.invoke(name)

    assert caught.value.response["OriginalStatusCode"] == 0
    assert "Your invocation timed out while waiting for a response" in str(caught.value)


def test_a_container_that_breaks_the_connection_is_a_model_error(impatient: Serving) -> None:
    name = impatient.endpoint(impatient.config(instances=2))
    with pytest.raises(ClientError, match="ModelError") as caught:
        impatient.invoke(name, b"crash")

    assert caught.value.response["OriginalStatusCode"] == 0


def test_raw_counts_are_in_the_status(serving: Serving) -> None:
    config = serving.config("one")
    name = serving.endpoint(config)
    for _ in range(3):
        serving.invoke(name)

    found = next(e for e in serving.aws.status()["endpoints"] if e["name"] == name)
    assert found["requests"] == {config: {"200": 3}}


def _raw_body(serving: Serving, endpoint: str, body: bytes) -> str:
    connection = http.client.HTTPConnection(serving.aws.url.removeprefix("http://"))
    connection.request("POST", f"/endpoints/{endpoint}/invocations", body)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def _status_of_chunks(url: str, endpoint: str, chunks: list[bytes]) -> str:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", f"/endpoints/{endpoint}/invocations", iter(chunks), encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return str(status)
