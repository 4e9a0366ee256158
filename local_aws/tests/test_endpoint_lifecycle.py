"""Models, endpoint configs and endpoints, from their creation to their deletion, in AWS's words."""

import pytest
from botocore.exceptions import ClientError

from local_aws.testing import wait_until
from testbed.serving import Serving

pytestmark = pytest.mark.starts_processes

ARN = "arn:aws:sagemaker:eu-west-1:123456789012"


def test_model_data_that_is_not_there_fails_the_creation_with_its_address(serving: Serving) -> None:
    serving.sagemaker.create_model(
        ModelName="without-data",
        PrimaryContainer={"Image": "contract-server", "ModelDataUrl": "s3://nowhere/model.tar.gz"},
    )
    description = serving.settled(serving.begin(serving.config_of(serving.variant("without-data"))))

    assert description["EndpointStatus"] == "Failed"
    assert "s3://nowhere/model.tar.gz" in description["FailureReason"]


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
