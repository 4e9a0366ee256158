"""Plan the calls that put a release on an endpoint. Pure: the state of AWS comes in as `Observed`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.autoscaling.saved_scaling import SavedScaling, plan_restoring, plan_saving
from pipeline.aws.calls import Call
from pipeline.config import CAPACITY_SUFFIX, DataCapture, Environment
from pipeline.deployment.alarms import alarms_of, plan_alarms, plan_removal
from pipeline.deployment.live_alarms import plan_live_alarms
from pipeline.errors import EndpointBusy
from pipeline.names import content_name
from pipeline.release import Release

CHANGEABLE = frozenset({"InService", "UpdateRollbackFailed"})
MOVING = frozenset({"Creating", "Updating", "RollingBack", "SystemUpdating"})


@dataclass(frozen=True)
class Observed:
    """The state of AWS: the endpoint (status None: none of that name), and the resources that exist."""

    status: str | None = None
    live_config: str | None = None
    pending_config: str | None = None
    has_model: bool = False
    has_config: bool = False
    alarms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scaled_on_other_type: SavedScaling | None = None  # registered for scaling, on another instance type


@dataclass(frozen=True)
class Plan:
    """Calls in their order: `prepare`, then `shift` moves the traffic, then, once the release is live, `clean`.

    `is_resumed`: an earlier run requested the shift, and it is under way. `save_scaling` and `restore_scaling`
    enclose the shift when the instance type of a scaled fleet changes.
    """

    config: str
    prepare: tuple[Call, ...] = ()
    save_scaling: tuple[Call, ...] = ()
    shift: Call | None = None
    restore_scaling: tuple[Call, ...] = ()
    clean: tuple[Call, ...] = ()
    replaces_failed: bool = False
    is_resumed: bool = False

    @property
    def calls(self) -> tuple[Call, ...]:
        shift = (self.shift,) if self.shift else ()
        return (*self.prepare, *self.save_scaling, *shift, *self.restore_scaling, *self.clean)


def model_parameters(release: Release, env: Environment) -> dict[str, Any]:
    """Return CreateModel's parameters, the content-derived name included."""
    settings: dict[str, Any] = {
        "PrimaryContainer": {
            "Image": release.image.uri,
            "ModelDataUrl": release.weights.uri,
            "Environment": {**env.endpoint.environment, "RELEASE_ID": release.id},
        },
        "ExecutionRoleArn": env.aws.execution_role_arn,
    }
    if (vpc := env.endpoint.vpc) is not None:
        settings["VpcConfig"] = {"Subnets": [*vpc.subnets], "SecurityGroupIds": [*vpc.security_groups]}
    if env.endpoint.network_isolation:
        settings["EnableNetworkIsolation"] = True
    return {"ModelName": content_name(env.endpoint.name, release.id, settings), **settings, **tags(env)}


def tags(env: Environment) -> dict[str, Any]:
    """Return the Tags parameter, nothing without tags. Names do not depend on tags, which may change in place."""
    listed = [{"Key": key, "Value": value} for key, value in sorted(env.aws.tags.items())]
    return {"Tags": listed} if listed else {}


def config_parameters(
    release: Release, env: Environment, *, endpoint: str | None = None, instances: int | None = None
) -> dict[str, Any]:
    """Return CreateEndpointConfig's parameters, the content-derived name included."""
    variant = {
        "VariantName": env.endpoint.variant,
        "ModelName": model_parameters(release, env)["ModelName"],
        "InitialInstanceCount": instances or env.endpoint.initial_instances,
        "InstanceType": env.endpoint.instance_type,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": env.endpoint.startup_timeout_seconds,
        "RoutingConfig": {"RoutingStrategy": env.endpoint.routing},
    }
    if env.endpoint.inference_ami is not None:
        variant["InferenceAmiVersion"] = env.endpoint.inference_ami
    settings: dict[str, Any] = {"ProductionVariants": [variant]}
    if env.endpoint.kms_key is not None:
        settings["KmsKeyId"] = env.endpoint.kms_key
    if env.endpoint.data_capture is not None:
        settings["DataCaptureConfig"] = _capture(env.endpoint.data_capture, env)
    name = content_name(endpoint or env.endpoint.name, release.id, settings)
    return {"EndpointConfigName": name, **settings, **tags(env)}


def _capture(capture: DataCapture, env: Environment) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": capture.percent,
        "DestinationS3Uri": f"s3://{env.aws.bucket}/{capture.prefix}",
        "CaptureOptions": [{"CaptureMode": content.capitalize()} for content in capture.content],
        "CaptureContentTypeHeader": {
            "JsonContentTypes": ["application/json"],
            "CsvContentTypes": ["text/csv"],
        },
        **({"KmsKeyId": capture.kms_key} if capture.kms_key else {}),
    }


def config_name(release: Release, env: Environment) -> str:
    """Name the endpoint config that carries `release` with this environment's settings."""
    return str(config_parameters(release, env)["EndpointConfigName"])


def deployment_config(env: Environment, config: str) -> dict[str, Any]:
    """Return the DeploymentConfig: how traffic moves, and the alarms that move it back."""
    return {
        **env.deployment.policy(),
        "AutoRollbackConfiguration": {
            "Alarms": [
                *({"AlarmName": alarm["AlarmName"]} for alarm in alarms_of(env, config)),
                *({"AlarmName": name} for name in env.alarms.named),
            ]
        },
    }


def plan_deployment(
    release: Release, env: Environment, observed: Observed, *, existing_config: str | None = None
) -> Plan:
    """List the calls that put `release` on the endpoint of `env`.

    `existing_config`: an existing endpoint config of that release, to be used unchanged; None: the one of the
    environment's settings.

    A plan without calls means that the release is live: deploying twice is safe. Models and configs of earlier
    releases are kept, because a rollback needs them. Raises EndpointBusy when another change is under way.
    """
    config = existing_config or config_name(release, env)
    is_resumed = _is_moving_to(config, observed)
    if observed.status not in CHANGEABLE | {None, "Failed"} and not is_resumed:
        raise EndpointBusy(
            f"Endpoint {env.endpoint.name} is {observed.status}"
            f" (live: {observed.live_config}, coming: {observed.pending_config or 'nothing'}).",
            fix="Wait until it is InService (python -m pipeline status), then run the same command again.",
        )
    is_live = observed.status == "InService" and observed.live_config == config
    shift = None if is_live or is_resumed else _shift(env, config, observed)
    moves = shift is not None and shift.operation == "update_endpoint"
    scaled = observed.scaled_on_other_type if moves else None
    return Plan(
        config=config,
        prepare=(
            *_plan_replacement(env, observed),
            *(() if existing_config else _plan_making(release, env, observed)),
            *plan_alarms(env, config, observed.alarms),
        ),
        save_scaling=plan_saving(env, scaled) if scaled else (),
        shift=shift,
        restore_scaling=plan_restoring(env, scaled, None) if scaled else (),
        clean=(*plan_removal(env, config, observed.alarms), *plan_live_alarms(env, observed.alarms)),
        replaces_failed=observed.status == "Failed",
        is_resumed=is_resumed,
    )


def plan_capacity_endpoint(release: Release, env: Environment) -> tuple[Call, ...]:
    """List the calls that make a one-instance endpoint beside the deployed one, to measure capacity.

    It serves the model that `deploy` has made; the second call names its config.
    """
    endpoint = f"{env.endpoint.name}{CAPACITY_SUFFIX}"
    config = config_parameters(release, env, endpoint=endpoint, instances=1)
    name = config["EndpointConfigName"]
    create = {"EndpointName": endpoint, "EndpointConfigName": name, **tags(env)}
    return (
        Call("sagemaker", "create_endpoint_config", config, f"create endpoint config {name}"),
        Call("sagemaker", "create_endpoint", create, f"create endpoint {endpoint} with 1 instance"),
    )


def _is_moving_to(config: str, observed: Observed) -> bool:
    coming = observed.pending_config or (observed.live_config if observed.status == "Creating" else None)
    return observed.status in MOVING and coming == config


def _plan_replacement(env: Environment, observed: Observed) -> tuple[Call, ...]:
    if observed.status != "Failed":
        return ()
    says = f"delete endpoint {env.endpoint.name}, which is Failed and serves nobody"
    return (Call("sagemaker", "delete_endpoint", {"EndpointName": env.endpoint.name}, says),)


def _plan_making(release: Release, env: Environment, observed: Observed) -> tuple[Call, ...]:
    model, config = model_parameters(release, env), config_parameters(release, env)
    calls: list[Call] = []
    if not observed.has_model:
        calls.append(Call("sagemaker", "create_model", model, f"create model {model['ModelName']}"))
    if not observed.has_config:
        says = f"create endpoint config {config['EndpointConfigName']}"
        calls.append(Call("sagemaker", "create_endpoint_config", config, says))
    return tuple(calls)


def _shift(env: Environment, config: str, observed: Observed) -> Call:
    endpoint = env.endpoint.name
    params: dict[str, Any] = {"EndpointName": endpoint, "EndpointConfigName": config}
    if observed.status in {None, "Failed"}:
        says = f"create endpoint {endpoint} with {env.endpoint.initial_instances} instances on {config}"
        return Call("sagemaker", "create_endpoint", {**params, **tags(env)}, says)
    params["RetainAllVariantProperties"] = True  # or a scaled-out fleet would shrink to its first size
    params["DeploymentConfig"] = deployment_config(env, config)
    says = f"update endpoint {endpoint}, {env.deployment.strategy}, from {observed.live_config} to {config}"
    return Call("sagemaker", "update_endpoint", params, says)
