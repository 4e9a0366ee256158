"""What AWS has of an environment: of a deployment to come, of what serves now."""

from pipeline.autoscaling.rescale import Scaled, observe_scaled
from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.deployment.alarms import alarm_prefix
from pipeline.deployment.difference import Live
from pipeline.deployment.plan import Observed, config_parameters, model_parameters
from pipeline.errors import ReleaseError
from pipeline.names import release_of
from pipeline.release import Release


def observe(release: Release, env: Environment, aws: Aws, *, at_hand: str | None = None) -> Observed:
    """Read what AWS has of everything that this deployment needs. `at_hand`: see `plan_deployment`."""
    endpoint = aws.describe_endpoint(env.endpoint.name) or {}
    model = model_parameters(release, env)["ModelName"]
    config = config_parameters(release, env)["EndpointConfigName"]
    return Observed(
        status=endpoint.get("EndpointStatus"),
        live_config=endpoint.get("EndpointConfigName"),
        pending_config=(endpoint.get("PendingDeploymentSummary") or {}).get("EndpointConfigName"),
        has_model=aws.find("sagemaker", "describe_model", ModelName=model) is not None,
        has_config=aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) is not None,
        alarms={alarm["AlarmName"]: alarm for alarm in aws.alarms(prefix=alarm_prefix(env))},
        scaled_on_other_type=_scaled_on_other_type(env, aws, endpoint.get("EndpointConfigName"), at_hand),
    )


def _scaled_on_other_type(env: Environment, aws: Aws, live: str | None, at_hand: str | None) -> Scaled | None:
    coming = _types(at_hand, aws) if at_hand else {env.endpoint.instance_type}
    return observe_scaled(env, aws) if live and _types(live, aws) - coming else None


def _types(config: str, aws: Aws) -> set[str | None]:
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) or {}
    return {each.get("InstanceType") for each in found.get("ProductionVariants", [])}


def observe_live(env: Environment, aws: Aws) -> Live:
    """Read what serves now: the endpoint, its config and its model."""
    endpoint = aws.describe_endpoint(env.endpoint.name) or {}
    name = endpoint.get("EndpointConfigName")
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name) if name else None
    variants = (found or {}).get("ProductionVariants", [])
    model = variants[0].get("ModelName") if variants else None
    described = aws.find("sagemaker", "describe_model", ModelName=model) if model else None
    return Live(endpoint=endpoint, config=found or {}, model=described or {})


def require_live(release: Release, env: Environment, aws: Aws, *, config: str | None = None) -> None:
    """Return when the release is live, on `config` if one is given; then its fleet may be changing its size.

    Raises ReleaseError, naming what is live.
    """
    described = aws.describe_endpoint(env.endpoint.name) or {}
    status, live = described.get("EndpointStatus", "not there"), described.get("EndpointConfigName")
    is_right = live == config if config else live is not None and release_of(live) == release.id
    if status not in {"InService", "Updating" if config else "InService"} or not is_right:
        settings = " with these settings" if config else ""
        raise ReleaseError(
            f"Release {release.id} is not live on {env.endpoint.name}{settings}: it is {status}, on "
            f"{live or 'nothing'}.",
            fix=f"Run `python -m pipeline deploy --env {env.name}` first.",
        )
