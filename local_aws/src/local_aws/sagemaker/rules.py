"""Checks of CreateModel and CreateEndpointConfig requests that have the API's shape (pure).

The field lists name what is imitated, or kept without effect on one machine. Every other field of botocore's
model is an error, so that no test passes on an ignored setting.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.errors import invalid, not_imitated
from local_aws.instances import instance_type

MODEL_FIELDS = frozenset(
    {
        "ModelName",
        "PrimaryContainer",
        "Containers",
        "ExecutionRoleArn",
        "Tags",
        "EnableNetworkIsolation",
        "VpcConfig",
    }
)
CONTAINER_FIELDS = frozenset(
    {"ContainerHostname", "Image", "Mode", "ModelDataUrl", "ModelDataSource", "Environment", "ImageConfig"}
)
CONFIG_FIELDS = frozenset(
    {
        "EndpointConfigName",
        "ProductionVariants",
        "Tags",
        "KmsKeyId",
        "ExecutionRoleArn",
        "EnableNetworkIsolation",
        "VpcConfig",
        "DataCaptureConfig",
        "MetricsConfig",
    }
)
VARIANT_FIELDS = frozenset(
    {
        "VariantName",
        "ModelName",
        "InitialInstanceCount",
        "InstanceType",
        "InitialVariantWeight",
        "VolumeSizeInGB",
        "ModelDataDownloadTimeoutInSeconds",
        "ContainerStartupHealthCheckTimeoutInSeconds",
        "VariantInstanceProvisionTimeoutInSeconds",
        "RoutingConfig",
        "EnableSSMAccess",
    }
)
ROUTING_STRATEGIES = frozenset({"LEAST_OUTSTANDING_REQUESTS", "RANDOM"})
PUBLISH_SECONDS = (10, 30, 60, 120, 180, 240, 300)
ENVIRONMENT_BYTES = 32 * 1024


def check_model(request: Mapping[str, Any]) -> None:
    """Accept a model of one container. Raises AwsError."""
    _only(request, MODEL_FIELDS, "CreateModel")
    containers = request.get("Containers", [])
    if ("PrimaryContainer" in request) == bool(containers):
        raise invalid("Give exactly one of PrimaryContainer and Containers.")
    if len(containers) > 1:
        raise not_imitated("A model of several containers")
    container = request.get("PrimaryContainer") or containers[0]
    _only(container, CONTAINER_FIELDS, "ContainerDefinition")
    if not container.get("Image"):
        raise invalid("A container needs an Image.")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise not_imitated("Mode MultiModel")
    if container.get("ImageConfig", {}).get("RepositoryAccessMode", "Platform") != "Platform":
        raise not_imitated("RepositoryAccessMode Vpc")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise invalid("Give only one of ModelDataUrl and ModelDataSource.")
    size = sum(len(k.encode()) + len(v.encode()) for k, v in container.get("Environment", {}).items())
    if size > ENVIRONMENT_BYTES:
        raise invalid(
            f"The environment of a container may have {ENVIRONMENT_BYTES} bytes; this one has {size}."
        )


def check_config(request: Mapping[str, Any]) -> None:
    """Accept an endpoint config of instance-backed variants. Raises AwsError."""
    _only(request, CONFIG_FIELDS, "CreateEndpointConfig")
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) != len(names):
        raise invalid("The variant names of an endpoint config must differ.")
    for variant in request["ProductionVariants"]:
        _check_variant(variant)
    frequency = request.get("MetricsConfig", {}).get("MetricPublishFrequencyInSeconds", 60)
    if frequency not in PUBLISH_SECONDS:
        raise invalid(f"MetricPublishFrequencyInSeconds is {frequency}; it may be one of {PUBLISH_SECONDS}.")
    if sum(variant.get("InitialVariantWeight", 1.0) for variant in request["ProductionVariants"]) <= 0:
        raise invalid("At least one variant needs an InitialVariantWeight above 0.")


def _check_variant(variant: Mapping[str, Any]) -> None:
    where = f"ProductionVariant {variant['VariantName']}"
    _only(variant, VARIANT_FIELDS, where)
    absent = {"ModelName", "InstanceType", "InitialInstanceCount"} - variant.keys()
    if absent:
        raise invalid(f"{where} needs {', '.join(sorted(absent))}.")
    instance_type(variant["InstanceType"])  # raises for one without figures
    routing = variant.get("RoutingConfig", {})
    _only(routing, {"RoutingStrategy"}, "RoutingConfig")
    strategy = routing.get("RoutingStrategy", "RANDOM")
    if strategy not in ROUTING_STRATEGIES:
        raise not_imitated(f"RoutingStrategy {strategy}")


def _only(given: Mapping[str, Any], imitated: Iterable[str], where: str) -> None:
    """Refuse fields that the API knows and this AWS does not imitate."""
    beyond = sorted(given.keys() - set(imitated))
    if beyond:
        raise not_imitated(f"{', '.join(beyond)} of {where}")
