"""Models, endpoint configs and endpoints, from their creation to their deletion, in AWS's words."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

import local_aws
from local_aws.testing import wait_until
from testbed.serving import Serving, refused

pytestmark = pytest.mark.starts_processes

ARN = "arn:aws:sagemaker:eu-west-1:123456789012"


@pytest.fixture(scope="module")
def weights(aws: local_aws.Running) -> Any:
    """S3 with a bucket `weights`."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="weights", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return s3


@pytest.mark.parametrize(
    "source",
    [
        {"ModelDataUrl": "s3://nowhere/model.tar.gz"},
        {"ModelDataUrl": "s3://weights/model"},  # there is a model.tar.gz
        {
            "ModelDataSource": {
                "S3DataSource": {
                    "S3Uri": "s3://weights/none/",
                    "S3DataType": "S3Prefix",
                    "CompressionType": "None",
                }
            }
        },
    ],
)
def test_a_model_whose_data_is_not_there_is_refused(
    serving: Serving, weights: Any, source: dict[str, Any]
) -> None:
    weights.put_object(Bucket="weights", Key="model.tar.gz", Body=b"1")
    uri = source.get("ModelDataUrl") or source["ModelDataSource"]["S3DataSource"]["S3Uri"]
    container = {"Image": "contract-server", **source}
    call = serving.sagemaker.create_model

    assert (
        refused("ValidationException", call, ModelName="absent", PrimaryContainer=container)
        == f"Could not find model data at {uri}."
    )


def _failure_reason(serving: Serving, weights: Any, key: str, *, then_deleted: bool = False) -> str:
    """Create an endpoint of the archive at a key; return why it has failed."""
    model = serving.name("model")
    container = {"Image": "contract-server", "ModelDataUrl": f"s3://weights/{key}"}
    serving.sagemaker.create_model(ModelName=model, PrimaryContainer=container)
    if then_deleted:
        weights.delete_object(Bucket="weights", Key=key)
    description = serving.settled(serving.begin(serving.config_of(serving.variant(model))))
    assert description["EndpointStatus"] == "Failed"
    return str(description["FailureReason"])


def test_model_data_that_has_gone_fails_the_endpoint_with_its_address(serving: Serving, weights: Any) -> None:
    weights.put_object(Bucket="weights", Key="gone.tar.gz", Body=b"1")

    assert _failure_reason(serving, weights, "gone.tar.gz", then_deleted=True).startswith(
        'Failed to download model data for container "container_1" from URL: "s3://weights/gone.tar.gz".'
    )


def test_model_data_that_is_no_archive_fails_the_endpoint(serving: Serving, weights: Any) -> None:
    weights.put_object(Bucket="weights", Key="plain.tar.gz", Body=b"no archive")

    assert _failure_reason(serving, weights, "plain.tar.gz").startswith(
        'Failed to extract model data archive for container "container_1" from URL "s3://weights/plain.tar.gz". '
        "Please ensure that the object located at the URL is a valid tar.gz archive."
    )


def test_network_settings_and_data_capture_are_kept_and_shown(serving: Serving) -> None:
    vpc = {"SecurityGroupIds": ["sg-0123456789"], "Subnets": ["subnet-0123456789"]}
    container = {"Image": "contract-server"}
    client = serving.sagemaker
    client.create_model(
        ModelName="walled", PrimaryContainer=container, VpcConfig=vpc, EnableNetworkIsolation=True
    )
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 50,
        "DestinationS3Uri": "s3://captured/here",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    config = serving.config_of(serving.variant("walled"), DataCaptureConfig=capture, VpcConfig=vpc)
    model = client.describe_model(ModelName="walled")
    described = client.describe_endpoint_config(EndpointConfigName=config)

    assert (model["VpcConfig"], model["EnableNetworkIsolation"]) == (vpc, True)
    assert (described["DataCaptureConfig"], described["VpcConfig"]) == (capture, vpc)
    shown = serving.describe(serving.endpoint(config))["DataCaptureConfig"]
    assert shown == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 50,
        "DestinationS3Uri": "s3://captured/here",
        "KmsKeyId": "",
    }


def test_an_instance_that_dies_is_replaced(serving: Serving) -> None:
    name = serving.endpoint(serving.config(instances=2))
    before = _instances(serving, name)
    with pytest.raises(ClientError, match="ModelError"):
        serving.invoke(name, b"crash")
    wait_until(lambda: len(_instances(serving, name) - before) == 1, "another instance is healthy")

    assert len(_instances(serving, name) & before) == 1
    assert serving.invoke(name).release == "one"


def _instances(serving: Serving, endpoint: str) -> set[str]:
    fleets = next(e for e in serving.aws.status()["endpoints"] if e["name"] == endpoint)["fleets"]
    return {i["id"] for fleet in fleets for i in fleet["instances"] if i["healthy"]}


def _is_gone(serving: Serving, endpoint: str) -> bool:
    return not serving.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"]
