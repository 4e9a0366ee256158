"""Read the resources of a deployment from AWS: those that it needs, and those that are live."""

from pipeline.autoscaling.saved_scaling import SavedScaling, read_scaling
from pipeline.aws import AwsClient
from pipeline.deployment.alarms import alarm_prefix
from pipeline.deployment.difference import Live
from pipeline.deployment.plan import Observed, config_parameters, model_parameters
from pipeline.errors import ReleaseError
from pipeline.names import release_of
from pipeline.release import Release
from pipeline.run import Run


def observe(release: Release, run: Run, *, existing_config: str | None = None) -> Observed:
    """Read the state of every resource of this deployment. `existing_config`: see `plan_deployment`."""
    endpoint = run.aws.describe_endpoint(run.env.endpoint.name) or {}
    model = model_parameters(release, run.env)["ModelName"]
    config = config_parameters(release, run.env)["EndpointConfigName"]
    return Observed(
        status=endpoint.get("EndpointStatus"),
        live_config=endpoint.get("EndpointConfigName"),
        pending_config=(endpoint.get("PendingDeploymentSummary") or {}).get("EndpointConfigName"),
        has_model=run.aws.find("sagemaker", "describe_model", ModelName=model) is not None,
        has_config=run.aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config)
        is not None,
        alarms={alarm["AlarmName"]: alarm for alarm in run.aws.alarms(prefix=alarm_prefix(run.env))},
        scaled_on_other_type=_scaled_on_other_type(run, endpoint.get("EndpointConfigName"), existing_config),
    )


def _scaled_on_other_type(run: Run, live: str | None, existing_config: str | None) -> SavedScaling | None:
    coming = _types(existing_config, run.aws) if existing_config else {run.env.endpoint.instance_type}
    return read_scaling(run) if live and _types(live, run.aws) - coming else None


def _types(config: str, aws: AwsClient) -> set[str | None]:
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) or {}
    return {each.get("InstanceType") for each in found.get("ProductionVariants", [])}


def observe_live(run: Run) -> Live:
    """Read the live endpoint, its config and its model."""
    endpoint = run.aws.describe_endpoint(run.env.endpoint.name) or {}
    name = endpoint.get("EndpointConfigName")
    found = run.aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name) if name else None
    variants = (found or {}).get("ProductionVariants", [])
    model = variants[0].get("ModelName") if variants else None
    described = run.aws.find("sagemaker", "describe_model", ModelName=model) if model else None
    return Live(endpoint=endpoint, config=found or {}, model=described or {})


def require_live(release: Release, run: Run, *, config: str | None = None) -> None:
    """Return when the release is live, on `config` if one is given; then its fleet may be changing its size.

    Raises ReleaseError, naming the live config.
    """
    described = run.aws.describe_endpoint(run.env.endpoint.name) or {}
    status, live = described.get("EndpointStatus", "not there"), described.get("EndpointConfigName")
    is_right = live == config if config else live is not None and release_of(live) == release.id
    if status not in {"InService", "Updating" if config else "InService"} or not is_right:
        settings = " with these settings" if config else ""
        raise ReleaseError(
            f"Release {release.id} is not live on {run.env.endpoint.name}{settings}: it is {status}, on "
            f"{live or 'nothing'}.",
            fix=f"Run `python -m pipeline deploy --env {run.env.name}` first.",
        )
