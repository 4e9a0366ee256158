"""Models, endpoint configs, names, lists and tags."""

import pytest
from botocore.config import Config

from testbed.serving import Serving, refused

pytestmark = pytest.mark.starts_processes
UNCHECKED = Config(parameter_validation=False)


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


@pytest.mark.sky(minutes=0)
def test_a_name_is_taken_in_any_case(serving: Serving) -> None:
    """One ARN would name both: deleting one would take the tags of the other."""
    client, name = serving.sagemaker, serving.name("Mixed-Case")
    request = {"PrimaryContainer": serving.container(), **serving.role()}
    client.create_model(ModelName=name, **request)
    text = refused("ValidationException", client.create_model, ModelName=name.lower(), **request)

    assert text == f'Cannot create already existing model "{serving.account.arn("model", name.lower())}".'
    assert client.describe_model(ModelName=name)["ModelName"] == name
    variants = [serving.variant(name)]
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    text = refused(
        "ValidationException",
        client.create_endpoint_config,
        EndpointConfigName=name.upper(),
        ProductionVariants=variants,
    )
    assert text.startswith("Cannot create already existing endpoint configuration ")


@pytest.mark.sky(minutes=0)
@pytest.mark.parametrize("name", ["with_underscore", "m" * 64, "-begins-with-a-dash"])
def test_a_name_that_is_too_long_or_has_other_characters_is_refused(serving: Serving, name: str) -> None:
    call = serving.client("sagemaker", config=UNCHECKED).create_model
    request = {"ModelName": name, "PrimaryContainer": serving.container(), **serving.role()}

    assert "at 'modelName' failed to satisfy constraint" in refused("ValidationException", call, **request)


@pytest.mark.sky(minutes=0)
@pytest.mark.parametrize("key", ["LOG-LEVEL", "1A", "K" * 1025])
def test_the_key_of_an_environment_has_limits_as_its_value_has(serving: Serving, key: str) -> None:
    call = serving.client("sagemaker", config=UNCHECKED).create_model
    request = {"ModelName": serving.name("m"), "PrimaryContainer": serving.container(**{key: "1"})}

    text = refused("ValidationException", call, **request, **serving.role())
    assert "at 'primaryContainer.environment' failed to satisfy constraint: Map keys must satisfy" in text


@pytest.mark.sky(minutes=0)
@pytest.mark.parametrize("keys", [["aws:x"], ["AWS:x"], ["twice", "twice"]])
def test_tags_of_aws_and_a_key_given_twice_are_refused(serving: Serving, keys: list[str]) -> None:
    tags = [{"Key": key, "Value": "1"} for key in keys]
    request = {"ModelName": serving.name("m"), "PrimaryContainer": serving.container(), **serving.role()}

    assert keys[0] in refused("ValidationException", serving.sagemaker.create_model, **request, Tags=tags)
