"""The endpoint operations of the API: check whether each is allowed now, then begin it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.errors import invalid
from local_aws.protocols import AlarmStates, VariantState
from local_aws.sagemaker.deployment_policy import plan_deployment
from local_aws.sagemaker.describe import describe_endpoint
from local_aws.sagemaker.endpoint import Deployed, Endpoint, Side
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.launch_template import launch_template
from local_aws.sagemaker.listing import Row, list_page
from local_aws.sagemaker.member import FleetContext
from local_aws.sagemaker.operations import Operations
from local_aws.sagemaker.resources import EndpointConfig, ResourceStore, duplicate, is_taken, missing
from local_aws.sagemaker.role_rights import refused_alarms
from local_aws.sagemaker.update_rules import (
    check_new_config,
    check_scaled_variants,
    check_weights,
    retained_counts,
    retained_weights,
)

SCALABLE = frozenset({"InService"})
UPDATABLE = SCALABLE | {"UpdateRollbackFailed"}
DELETABLE = UPDATABLE | {"Failed", "OutOfService"}
WAYS_OUT = {
    "Failed": "it can only be deleted",
    "UpdateRollbackFailed": "only UpdateEndpoint and DeleteEndpoint can help it",
}


class Endpoints:
    """All endpoints by name; implements Fleets for the scaler."""

    def __init__(
        self,
        resource_store: ResourceStore,
        operations: Operations,
        context: FleetContext,
        alarms: AlarmStates,
        publish: Callable[[Endpoint], None],
        check_quota: Callable[[Mapping[str, int], Mapping[str, int]], None],
        is_scalable_target: Callable[[str, str], bool],
    ) -> None:
        self.all: dict[str, Endpoint] = {}
        self._resource_store = resource_store
        self._operations = operations
        self._context = context
        self._alarms = alarms
        self._publish = publish
        self._check_quota = check_quota
        self._is_scalable_target = is_scalable_target

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to create an endpoint."""
        name = request["EndpointName"]
        if is_taken(name, self.all):
            raise duplicate("endpoint", name)
        config = self._resource_store.config(request["EndpointConfigName"])
        counts = {variant.name: variant.initial_count for variant in config.variants}
        if "DeploymentConfig" in request:  # kept for later updates, and checked now
            self._check_alarms(plan_deployment(request["DeploymentConfig"], counts).alarms, config)
        self._check_quota(self._used(), config.instances(counts))
        now = self._context.clock.now()
        endpoint = Endpoint(name, now, now, "Creating", config.name)
        endpoint.last_deployment_config = request.get("DeploymentConfig")
        side = self._side(endpoint, config, {})
        self.all[name] = endpoint
        self._resource_store.tags[endpoint.arn] = {
            tag["Key"]: tag["Value"] for tag in request.get("Tags", [])
        }
        self._operations.begin(endpoint, "Creating", self._operations.create(endpoint, side, counts))
        return {"EndpointArn": endpoint.arn}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin a deployment."""
        endpoint = self._in_status(request["EndpointName"], UPDATABLE)
        assert endpoint.live is not None, "an endpoint in service serves something"
        config = self._resource_store.config(request["EndpointConfigName"])
        deployment = request.get("DeploymentConfig")
        if request.get("RetainDeploymentConfig"):
            deployment = endpoint.last_deployment_config
        check_new_config(endpoint, config, deployment)
        scaled = {v for v in endpoint.live.variants if self._is_scalable_target(endpoint.name, v)}
        check_scaled_variants(endpoint, config, scaled)
        counts = retained_counts(endpoint, config, request)
        old = {name: deployed.fleet.desired for name, deployed in endpoint.live.variants.items()}
        plan = plan_deployment(deployment, counts, old)
        self._check_alarms(plan.alarms, config)
        types = {
            name: deployed.fleet.variant.instance_type for name, deployed in endpoint.live.variants.items()
        }
        alike = all(types.get(variant.name) == variant.instance_type for variant in config.variants)
        self._check_quota(self._used(), config.instances(plan.extra if alike else counts))
        new = self._side(endpoint, config, retained_weights(endpoint, config, request))
        endpoint.last_deployment_config = deployment
        self._operations.begin(endpoint, "Updating", self._operations.deploy(endpoint, new, plan))
        return {"EndpointArn": endpoint.arn}

    def update_weights_and_capacities(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to change weights and instance counts; omitted ones stay."""
        endpoint = self._in_status(request["EndpointName"], SCALABLE)
        wanted = request["DesiredWeightsAndCapacities"]
        check_weights(endpoint, wanted)
        counts = {v["VariantName"]: v["DesiredInstanceCount"] for v in wanted if "DesiredInstanceCount" in v}
        self._check_quota(self._used(), _growth(endpoint, counts))
        weights = {v["VariantName"]: v["DesiredWeight"] for v in wanted if "DesiredWeight" in v}
        self._operations.begin(endpoint, "Updating", self._operations.scale(endpoint, counts, weights))
        return {"EndpointArn": endpoint.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to delete an endpoint; it takes no traffic from now on."""
        endpoint = self._in_status(request["EndpointName"], DELETABLE)

        def forget() -> None:
            del self.all[endpoint.name]
            del self._resource_store.tags[endpoint.arn]

        self._operations.begin(endpoint, "Deleting", self._operations.delete(endpoint, forget))
        self._publish(endpoint)
        return {}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Show an endpoint."""
        return describe_endpoint(self._find(request["EndpointName"]))

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """List endpoints."""
        rows = [
            Row(
                endpoint.name,
                endpoint.created,
                endpoint.modified,
                endpoint.status,
                {
                    "EndpointName": endpoint.name,
                    "EndpointArn": endpoint.arn,
                    "CreationTime": endpoint.created,
                    "LastModifiedTime": endpoint.modified,
                    "EndpointStatus": endpoint.status,
                },
            )
            for endpoint in self.all.values()
        ]
        return list_page(rows, request, "Endpoints")

    def variant(self, endpoint: str, variant: str) -> VariantState | None:
        """Describe one variant in service (Fleets)."""
        found = self.all.get(endpoint)
        deployed = found.live.variants.get(variant) if found and found.live else None
        if found is None or deployed is None:
            return None
        fleet = deployed.fleet
        return VariantState(found.status, fleet.variant.instance_type, len(fleet.healthy), fleet.desired)

    def set_desired_count(self, endpoint: str, variant: str, count: int) -> None:
        """Begin to scale one variant (Fleets)."""
        wanted = [{"VariantName": variant, "DesiredInstanceCount": count}]
        self.update_weights_and_capacities({"EndpointName": endpoint, "DesiredWeightsAndCapacities": wanted})

    async def abandon(self) -> None:
        """Cancel all operations and health checks, because the launcher will stop every instance."""
        running = [e.operation for e in self.all.values() if e.operation and not e.operation.done()]
        for operation in running:
            operation.cancel()
        fleets = [d.fleet for e in self.all.values() for side in e.sides for d in side.variants.values()]
        for fleet in fleets:
            fleet.abandon()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(upstream.drain(0) for fleet in fleets for upstream in fleet.healthy))

    def _find(self, name: str) -> Endpoint:
        if name not in self.all:
            raise missing("endpoint", name)
        return self.all[name]

    def _in_status(self, name: str, allowed: frozenset[str]) -> Endpoint:
        """Find an endpoint that may begin an operation. Raises AwsError."""
        endpoint = self._find(name)
        for status, way_out in WAYS_OUT.items():
            if endpoint.status == status and status not in allowed:
                text = f'Cannot update endpoint "{endpoint.arn}" in status {status}: {way_out}.'
                raise invalid(text)
        if endpoint.status not in allowed:
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _used(self) -> Counter[str]:
        """Count the instances that endpoints ask for now, by type."""
        used: Counter[str] = Counter()
        for endpoint in self.all.values():
            for side in endpoint.sides:
                for deployed in side.variants.values():
                    used[deployed.fleet.variant.instance_type] += deployed.fleet.desired
        return used

    def _check_alarms(self, names: tuple[str, ...], config: EndpointConfig) -> None:
        """Refuse a deployment by alarms which do not exist, or which its roles may not see. Raises AwsError."""
        absent = [name for name in names if self._alarms.state(name) is None]
        if absent:
            text = f"Alarms of AutoRollbackConfiguration do not exist: {', '.join(absent)}."
            raise invalid(text)
        roles = [self._resource_store.model(variant.model).role for variant in config.variants]
        refused = refused_alarms(self._context.rights, roles) if names else None
        if refused:
            raise invalid(refused)

    def _side(self, endpoint: Endpoint, config: EndpointConfig, weights: Mapping[str, float]) -> Side:
        """Prepare the fleets of a config, empty. Raises AwsError when a model is gone."""
        variants, settings = {}, self._context.settings
        for variant in config.variants:
            weight = weights.get(variant.name, variant.initial_weight)
            fleet = Fleet(
                variant,
                launch_template(self._resource_store, settings, endpoint.name, config.name, variant),
                self._context,
                lambda: self._publish(endpoint),
            )
            variants[variant.name] = Deployed(fleet, weight, weight)
        return Side(config, variants, self._context.clock.now())


def _growth(endpoint: Endpoint, counts: Mapping[str, int]) -> Counter[str]:
    """Count the instances that new desired counts add, by type."""
    more: Counter[str] = Counter()
    for name, count in counts.items():
        fleet = endpoint.live.variants[name].fleet if endpoint.live else None
        if fleet is not None:
            more[fleet.variant.instance_type] += count - fleet.desired
    return more
