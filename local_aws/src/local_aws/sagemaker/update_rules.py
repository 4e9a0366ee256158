"""Rules of updates: properties retained from the fleet in service, and refusals (pure)."""

from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.errors import invalid, not_imitated
from local_aws.sagemaker.endpoint import Deployed, Endpoint
from local_aws.sagemaker.resources import EndpointConfig


def check_new_config(
    endpoint: Endpoint, config: EndpointConfig, deployment: Mapping[str, Any] | None
) -> None:
    """Accept the config an endpoint is to move to. Raises AwsError."""
    if config.name == endpoint.config_name:
        raise invalid(
            f'Endpoint "{endpoint.arn}" is on endpoint configuration "{config.name}" already: create a new one.',
        )
    old = set(endpoint.live.variants) if endpoint.live else set()
    new = {variant.name for variant in config.variants}
    if deployment and old != new:
        raise invalid(
            "A deployment with DeploymentConfig keeps the variant names: "
            f"the endpoint has {sorted(old)}, the new endpoint configuration {sorted(new)}.",
        )


def check_scaled_variants(endpoint: Endpoint, config: EndpointConfig, scaled: Iterable[str]) -> None:
    """Refuse to remove a scalable target, or to change its instance type. Raises AwsError."""
    types = {variant.name: variant.instance_type for variant in config.variants}
    for name in scaled:
        old = endpoint.live.variants[name].fleet.variant.instance_type if endpoint.live else None
        if types.get(name) != old:
            raise invalid(
                f"Variant {name} of endpoint {endpoint.name} is registered as a scalable target: deregister it "
                "before removing it or changing its instance type.",
            )


def retained_counts(endpoint: Endpoint, config: EndpointConfig, request: Mapping[str, Any]) -> dict[str, int]:
    """Decide how many instances the new fleets get, by variant."""
    kept = _kept(endpoint, request, "DesiredInstanceCount")
    return {
        v.name: serving_count(endpoint, v.name) if v.name in kept else v.initial_count
        for v in config.variants
    }


def serving_count(endpoint: Endpoint, variant: str) -> int:
    """Count the instances desired of a variant over all configs in service."""
    return sum(side.variants[variant].fleet.desired for side in endpoint.serving if variant in side.variants)


def retained_weights(
    endpoint: Endpoint, config: EndpointConfig, request: Mapping[str, Any]
) -> dict[str, float]:
    """Decide the weights of the new fleets, by variant."""
    kept = _kept(endpoint, request, "DesiredWeight")
    return {
        v.name: kept[v.name].desired_weight if v.name in kept else v.initial_weight for v in config.variants
    }


def check_weights(endpoint: Endpoint, wanted: Iterable[Mapping[str, Any]]) -> None:
    """Accept the variants of UpdateEndpointWeightsAndCapacities. Raises AwsError."""
    names = [variant["VariantName"] for variant in wanted]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f'The variant name "{name}" was non-unique within the request.')
    known = endpoint.live.variants if endpoint.live else {}
    unknown = ", ".join(name for name in names if name not in known)
    if unknown:
        raise invalid(
            f'The variant name(s) "{unknown}" is/are not present within endpoint configuration '
            f'"{endpoint.config_name}".',
        )
    for variant in wanted:
        if "ServerlessUpdateConfig" in variant:
            raise not_imitated("ServerlessUpdateConfig")
        if variant.get("DesiredInstanceCount") == 0:
            raise invalid("DesiredInstanceCount must be at least 1 for instance variants.")


def _kept(endpoint: Endpoint, request: Mapping[str, Any], what: str) -> Mapping[str, Deployed]:
    """Return the variants in service whose property `what` the update retains; none by default."""
    excluded = [p["VariantPropertyType"] for p in request.get("ExcludeRetainedVariantProperties", [])]
    if "DataCaptureConfig" in excluded:
        raise not_imitated("ExcludeRetainedVariantProperties DataCaptureConfig")
    retain = request.get("RetainAllVariantProperties", False) and what not in excluded
    return endpoint.live.variants if retain and endpoint.live else {}
