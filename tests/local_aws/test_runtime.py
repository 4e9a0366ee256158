"""InvokeEndpoint: what reaches the container, what comes back, and every error in SageMaker's form."""

import datetime
import http.client
import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

import local_aws
from tests.local_aws.serving import SETTINGS, Serving, refused, until


@pytest.fixture(scope="module")
def endpoint(aws: local_aws.Running) -> Iterator[tuple[Serving, str]]:
    serving = Serving(aws)
    yield serving, serving.endpoint(serving.config("one", instances=2))
    serving.close()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """An AWS that waits 0.3 s for a container, and takes bodies of a thousand bytes."""
    root = tmp_path_factory.mktemp("impatient")
    limits = {
        "invocation_timeout_seconds": 0.3,
        "max_payload_bytes": 1000,
        "state_dir": root,
        "cache_dir": root,
    }
    with local_aws.start(**{**SETTINGS, **limits}) as aws:
        yield Serving(aws)


def test_only_the_documented_headers_reach_the_container(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    answer = serving.invoke(
        name,
        b"1,2",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="a=1",
        InferenceId="id-1",
    )

    headers = {key.lower(): value for key, value in answer.body["headers"].items()}
    del headers["host"]
    assert headers == {
        "content-type": "text/csv",
        "accept": "application/json",
        "x-amzn-sagemaker-custom-attributes": "a=1",
        "x-amzn-sagemaker-inference-id": "id-1",
        "content-length": "3",
    }


def test_the_answer_names_its_variant_and_passes_the_containers_attributes(
    endpoint: tuple[Serving, str],
) -> None:
    serving, name = endpoint
    answer = serving.invoke(name)

    assert answer.variant == "AllTraffic"
    assert answer.release == "one"
    assert len(answer.instance) == 12


def test_requests_are_spread_over_the_instances(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    with serving.traffic(name) as traffic:
        until(lambda: len(traffic.answers) >= 200, "200 answers")

    counts = {i: sum(a.instance == i for a in traffic.answers) for i in {a.instance for a in traffic.answers}}
    assert len(counts) == 2
    assert min(counts.values()) > 0.3 * len(traffic.answers)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "client", "CLIENT_ERROR_FROM_MODEL"),
        (500, "server", "INTERNAL_FAILURE_FROM_MODEL"),
        (302, "server", "INTERNAL_FAILURE_FROM_MODEL"),
    ],
)
def test_a_container_that_does_not_answer_2xx_is_a_model_error(
    endpoint: tuple[Serving, str], status: int, kind: str, code: str
) -> None:
    serving, name = endpoint
    with pytest.raises(ClientError) as caught:
        serving.invoke(name, f"status {status}".encode())

    response = caught.value.response
    assert isinstance(caught.value, serving.runtime.exceptions.ModelError)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert json.loads(response["OriginalMessage"])["body"] == f"status {status}"
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")
    assert response["Error"]["Message"].startswith(
        f'Received {kind} error ({status}) from primary with message "'
    )
    # botocore's model has no ErrorCode in ModelError: it is read from the body, as other clients do
    assert code in _raw_body(serving, name, f"status {status}".encode())


def test_an_endpoint_that_does_not_exist_is_a_validation_error(endpoint: tuple[Serving, str]) -> None:
    serving, _ = endpoint
    text = refused("ValidationError", serving.runtime.invoke_endpoint, EndpointName="nope", Body=b"")

    assert text == "Endpoint nope of account 123456789012 not found."


def test_a_variant_that_does_not_exist_is_a_validation_error(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint

    assert "Nope" in refused("ValidationError", call, EndpointName=name, Body=b"", TargetVariant="Nope")


@pytest.mark.parametrize("field", ["TargetModel", "SessionId", "InferenceComponentName"])
def test_a_header_that_is_not_imitated_is_refused(endpoint: tuple[Serving, str], field: str) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint

    assert "not imitated" in refused("ValidationError", call, EndpointName=name, Body=b"", **{field: "abc"})


def test_asynchronous_invocation_is_refused(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint_async

    refused("NotImplementedByLocalAws", call, EndpointName=name, InputLocation="s3://bucket/key")


def test_a_body_of_25_mb_passes_and_one_byte_more_does_not(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    limit = 25 * 1024 * 1024

    assert serving.invoke(name, b"x" * limit).body["size"] == limit
    refused("413", serving.runtime.invoke_endpoint, EndpointName=name, Body=b"x" * (limit + 1))


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


def test_every_request_is_measured_by_variant_and_by_endpoint_config(serving: Serving) -> None:
    """Counts are multiplied by the time scale; errors are 0 or 1 each, so that their average is a ratio."""
    config = serving.config("one")
    name = serving.endpoint(config)
    for _ in range(3):
        serving.invoke(name)
    with pytest.raises(ClientError):
        serving.invoke(name, b"status 500")

    for more in ({}, {"EndpointConfigName": config}):
        dimensions = {"EndpointName": name, "VariantName": "AllTraffic", **more}
        assert _statistic(serving, "Invocations", "Sum", dimensions) == 4 * SETTINGS["time_scale"]
        assert _statistic(serving, "Invocation5XXErrors", "Average", dimensions) == 0.25
        assert 100 < _statistic(serving, "ModelLatency", "Average", dimensions) < 1e6


def test_raw_counts_are_in_the_status(serving: Serving) -> None:
    config = serving.config("one")
    name = serving.endpoint(config)
    for _ in range(3):
        serving.invoke(name)

    found = next(e for e in serving.aws.status()["endpoints"] if e["name"] == name)
    assert found["requests"] == {config: {"200": 3}}


def _statistic(serving: Serving, metric: str, statistic: str, dimensions: dict[str, str]) -> float:
    """Read one number over a day in which the metric has data once."""
    now = datetime.datetime.now(datetime.UTC)
    points = serving.aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - datetime.timedelta(seconds=60),
        EndTime=now + datetime.timedelta(seconds=60),
        Period=86400,
        Statistics=[statistic],
    )["Datapoints"]
    return float(sum(point[statistic] for point in points))


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
