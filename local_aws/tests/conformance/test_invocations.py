"""InvokeEndpoint: what reaches the container, what comes back, and every error in SageMaker's form."""

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest
from botocore.exceptions import ClientError

from testbed.serving import NO_RETRY, Serving, refused

pytestmark = pytest.mark.starts_processes

PAYLOAD_BYTES = 25 * 1024 * 1024


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
    passed = {
        "content-type": "text/csv",
        "accept": "application/json",
        "x-amzn-sagemaker-custom-attributes": "a=1",
        "x-amzn-sagemaker-inference-id": "id-1",
        "content-length": "3",
    }
    assert passed.items() <= headers.items()
    assert not {"authorization", "x-amz-date", "amz-sdk-request", "user-agent"} & headers.keys()


def test_the_answer_names_its_variant_and_passes_the_containers_attributes(
    endpoint: tuple[Serving, str],
) -> None:
    serving, name = endpoint
    answer = serving.invoke(name)

    assert answer.variant == "AllTraffic"
    assert answer.release == "one"
    assert len(answer.instance) == 12


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
    bodies: list[bytes] = []
    event = "response-received.sagemaker-runtime.InvokeEndpoint"
    runtime = serving.client("sagemaker-runtime", config=NO_RETRY)
    runtime.meta.events.register(event, lambda response_dict, **_: bodies.append(response_dict["body"]))
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName=name, Body=f"status {status}".encode())

    response = caught.value.response
    assert isinstance(caught.value, runtime.exceptions.ModelError)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert json.loads(response["OriginalMessage"])["body"] == f"status {status}"
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")
    assert response["Error"]["Message"].startswith(
        f'Received {kind} error ({status}) from primary with message "'
    )
    # botocore's model has no ErrorCode in ModelError: it is read from the body, as other clients do
    assert json.loads(bodies[0])["ErrorCode"] == code


def test_an_endpoint_that_does_not_exist_is_a_validation_error(endpoint: tuple[Serving, str]) -> None:
    serving, _ = endpoint
    text = refused("ValidationError", serving.runtime.invoke_endpoint, EndpointName="nope", Body=b"")

    assert text == f"Endpoint nope of account {serving.account.account_id} not found."


def test_a_variant_that_does_not_exist_is_a_validation_error(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint

    assert "Nope" in refused("ValidationError", call, EndpointName=name, Body=b"", TargetVariant="Nope")


def test_a_body_of_25_mb_passes_and_one_byte_more_does_not(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    large = b"x" * PAYLOAD_BYTES

    assert serving.invoke(name, large).body["size"] == PAYLOAD_BYTES
    refused("413", serving.runtime.invoke_endpoint, EndpointName=name, Body=large + b"x")


def test_an_answer_may_be_larger_than_a_request(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    size = PAYLOAD_BYTES + 1
    answer = serving.runtime.invoke_endpoint(EndpointName=name, Body=f"answer {size}".encode())

    assert sum(map(len, answer["Body"].iter_chunks(2**20))) == size


def test_a_streamed_answer_comes_in_pieces_and_in_order(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    call = serving.runtime.invoke_endpoint_with_response_stream
    answer = call(EndpointName=name, Body=b"stream 6")
    with closing(answer["Body"]) as events:
        pieces = [event["PayloadPart"]["Bytes"] for event in events]

    assert b"".join(pieces) == b"".join(b"piece %d;" % n for n in range(6))
    assert len(pieces) > 1
    assert answer["ContentType"] == "text/event-stream"


@pytest.mark.sky(instances=2)
def test_without_a_routing_strategy_busy_instances_get_requests_too(serving: Serving) -> None:
    """By least outstanding requests all 30 would go to the instance that has nothing to do."""
    variant = serving.variant(serving.model(), instances=2)
    del variant["RoutingConfig"]
    name = serving.endpoint(serving.config_of(variant))
    with ThreadPoolExecutor() as elsewhere:
        busy = elsewhere.submit(serving.invoke, name, b"wait 5")
        serving.wait_until(busy.running, "the slow request is sent")
        instances = [serving.invoke(name).instance for _ in range(30)]

    assert instances.count(busy.result().instance) >= 3


def test_the_container_runs_as_root_with_64_mb_of_shared_memory(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    if not serving.account.containers:
        pytest.skip("the instances here are processes of this machine, not containers")
    about = json.load(serving.runtime.invoke_endpoint(EndpointName=name, Body=b"about")["Body"])

    assert (about["uid"], about["shm_bytes"]) == (0, 64 * 2**20), about


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
        serving.wait_until(
            partial(_has_four_requests, serving, dimensions),
            "four requests are counted",
        )
        assert _statistic(serving, "Invocation5XXErrors", "Average", dimensions) == 0.25
        assert 100 < _statistic(serving, "ModelLatency", "Average", dimensions) < 1e6


def _has_four_requests(serving: Serving, dimensions: dict[str, str]) -> bool:
    return _statistic(serving, "Invocations", "Sum", dimensions) == 4 * serving.account.scale


def _statistic(serving: Serving, metric: str, statistic: str, dimensions: dict[str, str]) -> float:
    """Read one number over a day in which the metric has data once."""
    now = datetime.datetime.now(datetime.UTC)
    points = serving.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - datetime.timedelta(seconds=serving.account.patience_seconds),
        EndTime=now + datetime.timedelta(seconds=60),
        Period=86400,
        Statistics=[statistic],
    )["Datapoints"]
    return float(sum(point[statistic] for point in points))
