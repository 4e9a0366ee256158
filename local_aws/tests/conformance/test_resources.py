"""Models, endpoint configs, names, lists and tags."""

import pytest

from testbed.serving import Serving, refused

pytestmark = pytest.mark.starts_processes


@pytest.mark.sky(minutes=0)
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


@pytest.mark.sky(minutes=0)
def test_a_publication_frequency_that_aws_does_not_know_is_refused(serving: Serving) -> None:
    call = serving.sagemaker.create_endpoint_config
    request = {
        "ProductionVariants": [serving.variant(serving.model())],
        "MetricsConfig": {"MetricPublishFrequencyInSeconds": 20},
    }

    assert "20" in refused("ValidationException", call, EndpointConfigName=serving.name("c"), **request)


@pytest.mark.sky(minutes=0)
def test_lists_are_filtered_and_sorted_and_paged(serving: Serving) -> None:
    page = serving.name("page")
    names = [f"{page}-{letter}" for letter in "abc"]
    for name in names:
        serving.sagemaker.create_model(ModelName=name, PrimaryContainer=serving.container(), **serving.role())
    pages = serving.sagemaker.get_paginator("list_models").paginate(
        NameContains=page, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )

    assert [[model["ModelName"] for model in page["Models"]] for page in pages] == [names[:2], names[2:]]


@pytest.mark.sky(minutes=0)
def test_tags_live_with_their_resource(serving: Serving) -> None:
    client = serving.sagemaker
    name, tags = serving.name("tagged"), [{"Key": "release", "Value": "one"}]
    request = {"ModelName": name, "PrimaryContainer": serving.container(), **serving.role()}
    arn = client.create_model(**request, Tags=tags)["ModelArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "2"}])
    client.delete_tags(ResourceArn=arn, TagKeys=["release"])

    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "more", "Value": "2"}]
    client.delete_model(ModelName=name)
    refused("ValidationException", client.list_tags, ResourceArn=arn)


def test_a_name_is_given_once(serving: Serving) -> None:
    model = serving.model()
    config = serving.config()
    name = serving.endpoint(config)
    client = serving.sagemaker

    text = refused(
        "ValidationException", client.create_endpoint, EndpointName=name, EndpointConfigName=config
    )
    assert text == f'Cannot create already existing endpoint "{serving.account.arn("endpoint", name)}".'
    variants = [serving.variant(model)]
    text = refused(
        "ValidationException",
        client.create_endpoint_config,
        EndpointConfigName=config,
        ProductionVariants=variants,
    )
    assert (
        text
        == f'Cannot create already existing endpoint configuration "{serving.account.arn("endpoint-config", config)}".'
    )
    request = {"ModelName": model, "PrimaryContainer": serving.container(), **serving.role()}
    text = refused("ValidationException", client.create_model, **request)
    assert text == f'Cannot create already existing model "{serving.account.arn("model", model)}".'


@pytest.mark.sky(minutes=0)
def test_what_is_missing_is_named_by_its_arn(serving: Serving) -> None:
    client = serving.sagemaker
    texts = [
        refused("ValidationException", client.describe_model, ModelName="nope"),
        refused("ValidationException", client.delete_endpoint_config, EndpointConfigName="nope"),
        refused(
            "ValidationException",
            client.create_endpoint,
            EndpointName=serving.name("e"),
            EndpointConfigName="nope",
        ),
        refused(
            "ValidationException",
            client.create_endpoint_config,
            EndpointConfigName=serving.name("c"),
            ProductionVariants=[serving.variant("nope")],
        ),
    ]

    assert texts == [
        f'Could not find model "{serving.account.arn("model", "nope")}".',
        f'Could not find endpoint configuration "{serving.account.arn("endpoint-config", "nope")}".',
        f'Could not find endpoint configuration "{serving.account.arn("endpoint-config", "nope")}".',
        f'Could not find model "{serving.account.arn("model", "nope")}".',
    ]
