"""The Describe… answers of models, endpoint configs and endpoints (pure)."""

from typing import Any

from local_aws.sagemaker.endpoint import Deployed, Endpoint, Side
from local_aws.sagemaker.resources import EndpointConfig, Model, arn

LONGEST_REASON = 1024


def describe_model(model: Model) -> dict[str, Any]:
    """Write DescribeModel's answer."""
    shown = {key: value for key, value in model.request.items() if key != "Tags"}
    return (
        {"EnableNetworkIsolation": False}
        | shown
        | {"ModelArn": arn("model", model.name), "CreationTime": model.created}
    )


def describe_config(config: EndpointConfig) -> dict[str, Any]:
    """Write DescribeEndpointConfig's answer: every field that was given, with the default weight filled in."""
    shown = {key: value for key, value in config.request.items() if key != "Tags"}
    shown["ProductionVariants"] = [
        {"InitialVariantWeight": 1.0} | v for v in config.request["ProductionVariants"]
    ]
    return shown | {"EndpointConfigArn": arn("endpoint-config", config.name), "CreationTime": config.created}


def describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """Write DescribeEndpoint's answer: the old config at the top level until a deployment is complete."""
    shown: dict[str, Any] = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config_name,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
    }
    if endpoint.live is not None:
        shown["ProductionVariants"] = [_summary(deployed) for deployed in endpoint.live.variants.values()]
        shown |= _config_settings(endpoint.live.config)
    if endpoint.pending is not None:
        shown["PendingDeploymentSummary"] = _pending(endpoint, endpoint.pending)
    if endpoint.failure_reason:
        shown["FailureReason"] = endpoint.failure_reason[:LONGEST_REASON]
    if endpoint.last_deployment_config is not None:
        shown["LastDeploymentConfig"] = endpoint.last_deployment_config
    return shown


def _config_settings(config: EndpointConfig) -> dict[str, Any]:
    """Return the settings of its config that an endpoint shows; data capture is kept without effect."""
    shown = {key: config.request[key] for key in ("MetricsConfig",) if key in config.request}
    capture = config.request.get("DataCaptureConfig")
    if capture is not None:
        enabled = capture.get("EnableCapture", False)
        shown["DataCaptureConfig"] = {
            "EnableCapture": enabled,
            "CaptureStatus": "Started" if enabled else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    return shown


def _pending(endpoint: Endpoint, side: Side) -> dict[str, Any]:
    variants = []
    for name, deployed in side.variants.items():
        share = endpoint.step.shares[name] if endpoint.step else 0.0
        shown = _summary(deployed) | {
            "InstanceType": deployed.fleet.variant.instance_type,
            "CurrentWeight": deployed.current_weight * share,
        }
        if endpoint.step is not None:  # AWS counts the instances that take traffic, once some do
            shown["CurrentInstanceCount"] = min(shown["CurrentInstanceCount"], endpoint.step.active[name])
        variants.append(shown)
    return {
        "EndpointConfigName": side.config.name,
        "ProductionVariants": variants,
        "StartTime": side.started,
    }


def _summary(deployed: Deployed) -> dict[str, Any]:
    fleet = deployed.fleet
    shown: dict[str, Any] = {
        "VariantName": fleet.variant.name,
        "DeployedImages": [{"SpecifiedImage": fleet.template.spec.image}],
        "CurrentWeight": deployed.current_weight,
        "DesiredWeight": deployed.desired_weight,
        "CurrentInstanceCount": len(fleet.healthy),
        "DesiredInstanceCount": fleet.desired,
        "RoutingConfig": {"RoutingStrategy": fleet.variant.routing},
    }
    if deployed.stage is not None:
        stage = deployed.stage
        shown["VariantStatus"] = [
            {"Status": stage.status, "StatusMessage": stage.message, "StartTime": stage.since}
        ]
    return shown
