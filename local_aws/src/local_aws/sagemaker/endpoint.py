"""An endpoint in service: its status, the fleets of the config it serves and of the one it may move to."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local_aws.routing import Route, VariantRoute
from local_aws.sagemaker.deployment_policy import Step
from local_aws.sagemaker.fleet import Fleet
from local_aws.sagemaker.resources import EndpointConfig, arn


@dataclass(frozen=True)
class Stage:
    """The stage of a variant: VariantStatus of the API."""

    status: str
    message: str
    since: float


@dataclass
class Deployed:
    """One variant of an endpoint: its fleet, weights and stage."""

    fleet: Fleet
    current_weight: float
    desired_weight: float
    stage: Stage | None = None


@dataclass(eq=False)
class Side:
    """The fleets of one endpoint config; a deployment has an old and a new side."""

    config: EndpointConfig
    variants: dict[str, Deployed]
    started: float

    async def close(self) -> None:
        """Stop all instances."""
        await asyncio.gather(*(deployed.fleet.close() for deployed in self.variants.values()))


@dataclass(eq=False)
class Endpoint:
    """The state of one endpoint; only its running operation changes it."""

    name: str
    created: float
    modified: float
    status: str
    config_name: str
    live: Side | None = None
    stranded: tuple[Side, ...] = ()
    """Fleets that failed rollbacks of rolling deployments left in service beside `live`."""
    pending: Side | None = None
    step: Step | None = None
    """Step of the deployment, which has the share of the traffic on `pending`."""
    failure_reason: str | None = None
    last_deployment_config: dict[str, Any] | None = None
    operation: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def arn(self) -> str:
        """The endpoint's ARN."""
        return arn("endpoint", self.name)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that have instances now."""
        return tuple(side for side in (*self.serving, self.pending) if side is not None)

    @property
    def serving(self) -> tuple[Side, ...]:
        """The sides in service: one, or several after a failed rollback."""
        return (self.live, *self.stranded) if self.live else ()

    def route(self) -> Route:
        """Return the route of its traffic at this moment."""
        return Route(tuple(self._variant_routes()))

    def _variant_routes(self) -> Iterator[VariantRoute]:
        step = self.step
        for side in self.serving:
            for name, deployed in side.variants.items():
                moved = step.shares.get(name, 1.0 if step.full else 0.0) if step else 0.0
                limit = step.kept.get(name) if step and side is self.live else None
                yield _variant_route(side, deployed, 1.0 - moved, limit)
        if step is not None and self.pending is not None:
            for name, deployed in self.pending.variants.items():
                yield _variant_route(self.pending, deployed, step.shares[name], step.active[name])


def _variant_route(side: Side, deployed: Deployed, share: float, limit: int | None) -> VariantRoute:
    variant = deployed.fleet.variant
    return VariantRoute(
        variant=variant.name,
        config=side.config.name,
        weight=deployed.current_weight * share,
        strategy=variant.routing,
        upstreams=deployed.fleet.healthy[:limit],
    )
