"""A one-instance endpoint beside the deployed one, for as long as something is measured on it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.aws.waiting import wait_until
from pipeline.deployment.deploy import DELETION_SECONDS, bound_seconds
from pipeline.deployment.plan import plan_capacity_endpoint
from pipeline.errors import DeploymentFailed, DeploymentTimedOut
from pipeline.release import Release
from pipeline.run import Run

log = logging.getLogger(__name__)


@contextmanager
def capacity_endpoint(release: Release, run: Run) -> Iterator[str]:
    """Yield the name of an endpoint with this release on one instance."""
    with one_instance_endpoint(plan_capacity_endpoint(release, run.env), run) as endpoint:
        yield endpoint


@contextmanager
def one_instance_endpoint(calls: Sequence[Call], run: Run) -> Iterator[str]:
    """Yield the name of the endpoint once it is InService; it is always deleted afterwards.

    `calls` make its config and then itself. Resources of an interrupted run are deleted first.
    """
    create_config, create = calls
    config = str(create_config.params["EndpointConfigName"])
    endpoint = str(create.params["EndpointName"])
    _remove(endpoint, config, run)
    _wait_for(endpoint, frozenset({"gone"}), DELETION_SECONDS, run.aws)
    try:
        run.apply((create_config, create))
        status = _wait_for(endpoint, _SETTLED, bound_seconds(run.env, "create_endpoint"), run.aws)
        if status != "InService":
            raise DeploymentFailed(
                f"Endpoint {endpoint}, made to measure, is {status}.",
                fix=f"Read the log group /aws/sagemaker/Endpoints/{endpoint}; check the account's quota: "
                "it needs one instance more than the deployed endpoint.",
            )
        yield endpoint
    finally:
        _remove(endpoint, config, run)


_SETTLED = frozenset({"InService", "Failed", "gone"})
_DELETABLE = _SETTLED | {"Deleting", "UpdateRollbackFailed"}


def _remove(endpoint: str, config: str, run: Run) -> None:
    """Delete endpoint and config, where they exist. An endpoint that is being created cannot be deleted yet."""
    status = _wait_for(endpoint, _DELETABLE, bound_seconds(run.env, "create_endpoint"), run.aws)
    if status not in {"gone", "Deleting"}:
        call = Call("sagemaker", "delete_endpoint", {"EndpointName": endpoint}, f"delete endpoint {endpoint}")
        run.apply([call])
    if run.aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) is not None:
        params = {"EndpointConfigName": config}
        run.aws.apply(Call("sagemaker", "delete_endpoint_config", params, f"delete endpoint config {config}"))


def _wait_for(endpoint: str, statuses: frozenset[str], bound_seconds: float, aws: AwsClient) -> str:
    """Return the status, "gone" for none, once it is one of these. Raises DeploymentTimedOut."""

    def status() -> str:
        described = aws.describe_endpoint(endpoint)
        return "gone" if described is None else str(described["EndpointStatus"])

    return wait_until(
        status,
        lambda status: status in statuses,
        bound_seconds,
        aws.clock,
        timed_out=lambda status, waited: DeploymentTimedOut(
            f"Endpoint {endpoint} is still {status} after {waited:.0f} s.",
            fix=f"Run `aws sagemaker delete-endpoint --endpoint-name {endpoint}`, then verify again.",
        ),
    )
