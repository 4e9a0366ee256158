"""A one-instance endpoint beside the deployed one, for as long as something is measured on it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.aws import Aws
from pipeline.aws.calls import Call
from pipeline.aws.waiting import pause_seconds
from pipeline.config import Environment
from pipeline.deployment.deploy import DELETION_SECONDS, bound_seconds
from pipeline.deployment.plan import plan_capacity_endpoint
from pipeline.errors import DeploymentFailed, DeploymentTimedOut
from pipeline.release import Release
from pipeline.state.records import Say


@contextmanager
def capacity_endpoint(release: Release, env: Environment, aws: Aws, say: Say) -> Iterator[str]:
    """Yield the name of an endpoint with this release on one instance."""
    with one_instance_endpoint(plan_capacity_endpoint(release, env), env, aws, say) as endpoint:
        yield endpoint


@contextmanager
def one_instance_endpoint(calls: Sequence[Call], env: Environment, aws: Aws, say: Say) -> Iterator[str]:
    """Yield the name of the endpoint once it is InService; it is deleted whatever happens.

    `calls` make its config and then itself. What an interrupted run has left is deleted first.
    """
    create_config, create = calls
    config = str(create_config.params["EndpointConfigName"])
    endpoint = str(create.params["EndpointName"])
    _remove(endpoint, config, env, aws, say)
    _wait_until(endpoint, frozenset({"gone"}), DELETION_SECONDS, aws)
    try:
        for call in (create_config, create):
            say(call.says)
            aws.apply(call)
        status = _wait_until(endpoint, _SETTLED, bound_seconds(env, "create_endpoint"), aws)
        if status != "InService":
            raise DeploymentFailed(
                f"Endpoint {endpoint}, made to measure, is {status}.",
                fix=f"Read the log group /aws/sagemaker/Endpoints/{endpoint}; check the account's quota: "
                "it needs one instance more than the deployed endpoint.",
            )
        yield endpoint
    finally:
        _remove(endpoint, config, env, aws, say)


_SETTLED = frozenset({"InService", "Failed", "gone"})
_DELETABLE = _SETTLED | {"Deleting", "UpdateRollbackFailed"}


def _remove(endpoint: str, config: str, env: Environment, aws: Aws, say: Say) -> None:
    """Delete endpoint and config, where they exist. An endpoint that is being created cannot be deleted yet."""
    status = _wait_until(endpoint, _DELETABLE, bound_seconds(env, "create_endpoint"), aws)
    if status not in {"gone", "Deleting"}:
        call = Call("sagemaker", "delete_endpoint", {"EndpointName": endpoint}, f"delete endpoint {endpoint}")
        say(call.says)
        aws.apply(call)
    if aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) is not None:
        params = {"EndpointConfigName": config}
        aws.apply(Call("sagemaker", "delete_endpoint_config", params, f"delete endpoint config {config}"))


def _wait_until(endpoint: str, statuses: frozenset[str], bound: float, aws: Aws) -> str:
    """Return the status, "gone" for none, once it is one of these. Raises DeploymentTimedOut."""
    started = time.monotonic()
    while True:
        described = aws.describe_endpoint(endpoint)
        status = "gone" if described is None else str(described["EndpointStatus"])
        if status in statuses:
            return status
        waited = time.monotonic() - started
        if waited > bound:
            raise DeploymentTimedOut(
                f"Endpoint {endpoint} is still {status} after {waited:.0f} s.",
                fix="Delete it by hand (aws sagemaker delete-endpoint), then verify again.",
            )
        aws.sleep(pause_seconds(waited))
