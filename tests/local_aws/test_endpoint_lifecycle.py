"""Models, endpoint configs and endpoints, from their creation to their deletion, in AWS's words."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.local_aws.serving import Serving, refused, until

ARN = "arn:aws:sagemaker:eu-west-1:123456789012"


def test_an_endpoint_is_created_and_then_answers(serving: Serving) -> None:
    name = serving.begin(serving.config("one", instances=2))
    creating = serving.describe(name)
    description = serving.settled(name)

    assert creating["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in creating
    pending = creating["PendingDeploymentSummary"]["ProductionVariants"][0]
    assert pending["VariantStatus"][0]["StatusMessage"] == "Launching 2 instance(s)."
    assert description["EndpointStatus"] == "InService"
    assert "PendingDeploymentSummary" not in description
    variant = description["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (2, 2)
    assert serving.invoke(name).release == "one"


def test_the_waiters_of_boto3_see_creation_and_deletion(serving: Serving) -> None:
    name = serving.begin(serving.config())
    serving.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    serving.sagemaker.delete_endpoint(EndpointName=name)
    serving.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})

    text = refused("ValidationException", serving.sagemaker.describe_endpoint, EndpointName=name)
    assert text == f'Could not find endpoint "{ARN}:endpoint/{name}".'


def test_a_container_that_is_never_healthy_fails_the_creation_with_its_reason(serving: Serving) -> None:
    name = serving.begin(serving.config(MODE="exits"))
    description = serving.settled(name)

    assert description["EndpointStatus"] == "Failed"
    assert description["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    with pytest.raises(WaiterError):
        serving.sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"MaxAttempts": 1}
        )


def test_a_failed_endpoint_can_only_be_deleted(serving: Serving) -> None:
    name = serving.begin(serving.config(MODE="exits"))
    serving.settled(name)
    other = serving.config()

    refused(
        "ValidationException", serving.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=other
    )
    serving.sagemaker.delete_endpoint(EndpointName=name)
    assert until(lambda: _is_gone(serving, name), "the failed endpoint is deleted")


def test_what_a_failed_container_said_is_in_cloudwatch_logs(serving: Serving) -> None:
    name = serving.begin(serving.config(MODE="exits"))
    serving.settled(name)

    logs = serving.aws.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")["events"]
    assert "this container exits at once" in [event["message"] for event in events]


def test_model_data_that_is_not_there_fails_the_creation_with_its_address(serving: Serving) -> None:
    serving.sagemaker.create_model(
        ModelName="without-data",
        PrimaryContainer={"Image": "contract-server", "ModelDataUrl": "s3://nowhere/model.tar.gz"},
    )
    description = serving.settled(serving.begin(serving.config_of(serving.variant("without-data"))))

    assert description["EndpointStatus"] == "Failed"
    assert "s3://nowhere/model.tar.gz" in description["FailureReason"]


def test_nothing_can_be_started_on_an_endpoint_that_is_in_progress(serving: Serving) -> None:
    other = serving.config()
    name = serving.begin(serving.config())
    text = f'Cannot update in-progress endpoint "{ARN}:endpoint/{name}".'
    weights = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    requests: list[tuple[str, dict[str, Any]]] = [
        ("update_endpoint", {"EndpointConfigName": other}),
        ("update_endpoint_weights_and_capacities", {"DesiredWeightsAndCapacities": weights}),
        ("delete_endpoint", {}),
    ]

    for operation, request in requests:
        call = getattr(serving.sagemaker, operation)
        assert refused("ValidationException", call, EndpointName=name, **request) == text


def test_a_name_is_given_once(serving: Serving) -> None:
    model = serving.model()
    config = serving.config()
    name = serving.endpoint(config)
    client = serving.sagemaker

    text = refused(
        "ValidationException", client.create_endpoint, EndpointName=name, EndpointConfigName=config
    )
    assert text == f'Cannot create already existing endpoint "{ARN}:endpoint/{name}".'
    variants = [serving.variant(model)]
    text = refused(
        "ValidationException",
        client.create_endpoint_config,
        EndpointConfigName=config,
        ProductionVariants=variants,
    )
    assert text == f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/{config}".'
    container = {"Image": "contract-server"}
    text = refused("ValidationException", client.create_model, ModelName=model, PrimaryContainer=container)
    assert text == f'Cannot create already existing model "{ARN}:model/{model}".'


def test_what_is_missing_is_named_by_its_arn(serving: Serving) -> None:
    client = serving.sagemaker
    texts = [
        refused("ValidationException", client.describe_model, ModelName="nope"),
        refused("ValidationException", client.delete_endpoint_config, EndpointConfigName="nope"),
        refused("ValidationException", client.create_endpoint, EndpointName="new", EndpointConfigName="nope"),
        refused(
            "ValidationException",
            client.create_endpoint_config,
            EndpointConfigName="new",
            ProductionVariants=[serving.variant("nope")],
        ),
    ]

    assert texts == [
        f'Could not find model "{ARN}:model/nope".',
        f'Could not find endpoint configuration "{ARN}:endpoint-config/nope".',
        f'Could not find endpoint configuration "{ARN}:endpoint-config/nope".',
        f'Could not find model "{ARN}:model/nope".',
    ]


def test_an_endpoint_config_keeps_every_field(serving: Serving) -> None:
    variant = serving.variant(
        serving.model(),
        VolumeSizeInGB=30,
        ContainerStartupHealthCheckTimeoutInSeconds=300,
        InitialVariantWeight=0.5,
    )
    name = serving.config_of(variant)

    assert serving.sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"] == [
        variant
    ]


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


def test_a_publication_frequency_that_aws_does_not_know_is_refused(serving: Serving) -> None:
    call = serving.sagemaker.create_endpoint_config
    request = {
        "ProductionVariants": [serving.variant(serving.model())],
        "MetricsConfig": {"MetricPublishFrequencyInSeconds": 20},
    }

    assert "20" in refused("ValidationException", call, EndpointConfigName="c", **request)


def test_a_share_of_the_traffic_follows_the_weights(serving: Serving) -> None:
    variants = [
        serving.variant(serving.model(name), name=name, InitialVariantWeight=weight)
        for name, weight in (("a", 3), ("b", 1))
    ]
    name = serving.endpoint(serving.config_of(*variants))
    answers = [serving.invoke(name) for _ in range(200)]

    assert 120 < sum(answer.variant == "a" for answer in answers) < 180
    assert all(answer.variant == answer.release for answer in answers)


def test_lists_are_filtered_and_sorted_and_paged(serving: Serving) -> None:
    names = [f"page-{letter}" for letter in "abc"]
    for name in names:
        serving.sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": "contract-server"})
    pages = serving.sagemaker.get_paginator("list_models").paginate(
        NameContains="page-", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )

    assert [[model["ModelName"] for model in page["Models"]] for page in pages] == [names[:2], names[2:]]


def test_tags_live_with_their_resource(serving: Serving) -> None:
    client = serving.sagemaker
    container = {"Image": "contract-server"}
    tags = [{"Key": "release", "Value": "one"}]
    arn = client.create_model(ModelName="tagged", PrimaryContainer=container, Tags=tags)["ModelArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "2"}])
    client.delete_tags(ResourceArn=arn, TagKeys=["release"])

    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "more", "Value": "2"}]
    client.delete_model(ModelName="tagged")
    refused("ValidationException", client.list_tags, ResourceArn=arn)


def test_an_instance_that_dies_is_replaced(serving: Serving) -> None:
    name = serving.endpoint(serving.config(instances=2))
    before = _instances(serving, name)
    with pytest.raises(ClientError, match="ModelError"):
        serving.invoke(name, b"crash")
    until(lambda: len(_instances(serving, name) - before) == 1, "another instance is healthy")

    assert len(_instances(serving, name) & before) == 1
    assert serving.invoke(name).release == "one"


def test_weights_and_counts_change_while_the_endpoint_serves(serving: Serving) -> None:
    config = serving.config_of(
        serving.variant(serving.model("a"), name="A"), serving.variant(serving.model("b"), name="B")
    )
    name = serving.endpoint(config)
    wanted = [
        {"VariantName": "A", "DesiredWeight": 0},
        {"VariantName": "B", "DesiredInstanceCount": 2},
    ]
    serving.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=wanted
    )
    status = serving.describe(name)["EndpointStatus"]
    a, b = serving.settled(name)["ProductionVariants"]

    assert status == "Updating"
    assert (a["CurrentWeight"], a["CurrentInstanceCount"]) == (0, 1)
    assert (b["CurrentWeight"], b["CurrentInstanceCount"]) == (1, 2)
    assert {serving.invoke(name).release for _ in range(10)} == {"b"}
    assert serving.invoke(name, TargetVariant="A").release == "a"


def test_a_variant_that_is_unknown_or_named_twice_is_refused(serving: Serving) -> None:
    config = serving.config()
    name = serving.endpoint(config)
    call = serving.sagemaker.update_endpoint_weights_and_capacities
    one = {"VariantName": "AllTraffic", "DesiredWeight": 1}

    text = refused("ValidationException", call, EndpointName=name, DesiredWeightsAndCapacities=[one, one])
    assert text == 'The variant name "AllTraffic" was non-unique within the request.'
    other = [{"VariantName": "Other", "DesiredWeight": 1}]
    text = refused("ValidationException", call, EndpointName=name, DesiredWeightsAndCapacities=other)
    assert text == (
        f'The variant name(s) "Other" is/are not present within endpoint configuration "{config}".'
    )


def test_scaling_in_loses_no_request(serving: Serving) -> None:
    name = serving.endpoint(serving.config(instances=3, SLOW="0.05"))
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}]
    with serving.traffic(name) as traffic:
        until(lambda: len(traffic.answers) > 20, "traffic flows")
        serving.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=wanted
        )
        description = serving.settled(name)
        seen = len(traffic.answers)
        until(lambda: len(traffic.answers) > seen + 20, "traffic still flows")

    assert traffic.failures == []
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert len({answer.instance for answer in traffic.answers}) == 3


def _instances(serving: Serving, endpoint: str) -> set[str]:
    fleets = next(e for e in serving.aws.status()["endpoints"] if e["name"] == endpoint)["fleets"]
    return {i["id"] for fleet in fleets for i in fleet["instances"] if i["healthy"]}


def _is_gone(serving: Serving, endpoint: str) -> bool:
    return not serving.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"]
