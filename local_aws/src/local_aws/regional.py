"""The services of one account in one Region, and all of them by their place: each is made at its first call."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.autoscaling import Autoscaling
from local_aws.clock import Clock
from local_aws.cloudwatch import Alarms
from local_aws.errors import not_imitated
from local_aws.faults import Faults
from local_aws.front_door import RefusedService, ServiceRoute
from local_aws.instance_killer import InstanceKiller
from local_aws.instances import Launcher
from local_aws.measurements import Measurements
from local_aws.moto_clients import MotoClients
from local_aws.places import CURRENT, HOME, Place, at, regions_of_aws
from local_aws.protocols import RoleRights
from local_aws.quotas import Quotas
from local_aws.router import Router
from local_aws.sagemaker.api import SageMaker
from local_aws.sagemaker.api import moto_may as sagemaker_moto_may
from local_aws.sagemaker.endpoint import Endpoint
from local_aws.sagemaker.endpoints import Endpoints
from local_aws.sagemaker.inputs import Images, Inputs
from local_aws.sagemaker.member import FleetContext
from local_aws.sagemaker.operations import Operations
from local_aws.sagemaker.resources import ResourceStore
from local_aws.sagemaker.training import TrainingJobs
from local_aws.settings import Settings
from local_aws.status import status
from local_aws.ticker import Ticker


@dataclass(frozen=True)
class Shared:
    """The parts that all accounts and Regions have in common."""

    settings: Settings
    clock: Clock
    faults: Faults
    launcher: Launcher
    rights: RoleRights
    moto_url: str
    images: Images


class Regional:
    """SageMaker, its runtime, scaling, quotas, metrics and alarms of one account in one Region."""

    def __init__(self, place: Place, shared: Shared) -> None:
        self.place, self._shared = place, shared
        settings, clock = shared.settings, shared.clock
        self.alarms = Alarms(place)
        self.measurements = Measurements(self.alarms.store, settings.metrics_seconds)
        self.resource_store = ResourceStore()
        self.router = Router(
            timeout_seconds=settings.invocation_timeout_seconds,
            stream_seconds=settings.stream_timeout_seconds,
            faults=shared.faults,
            max_payload_bytes=settings.max_payload_bytes,
            record=self.measurements.record,
        )
        self.clients = MotoClients(shared.moto_url, place)
        self.quotas = Quotas(settings.quotas)
        self.endpoints = self._make_endpoints()
        self.jobs = TrainingJobs(
            self.resource_store, shared.launcher.training, self.clients, clock, shared.rights
        )
        self.autoscaling = Autoscaling(self.alarms, self.endpoints, clock)
        self.routes = self._service_routes()
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tick."""
        with at(self.place):
            self._ticking = asyncio.create_task(self._ticker().run())

    async def stop(self) -> None:
        """End all work; the launcher stops the instances."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await self.jobs.abandon()
        await self.endpoints.abandon()

    async def status(self) -> dict[str, Any]:
        """Describe endpoints, alarms and scaling."""
        further = {"alarms": self.alarms.summary(), **await self.autoscaling.summary()}
        found = status(self.endpoints.all.values(), self.resource_store.configs, self.measurements, further)
        where = {"account": self.place.account, "region": self.place.region}
        return found | {"endpoints": [one | where for one in found["endpoints"]]}

    def _make_endpoints(self) -> Endpoints:
        shared = self._shared
        context = FleetContext(
            launcher=shared.launcher,
            settings=shared.settings,
            clock=shared.clock,
            unpack=lambda source: shared.launcher.models.unpack(source, self.clients),
            keep_logs=self.clients.keep_logs,
            faults=shared.faults,
            rights=shared.rights,
        )
        operations = Operations(self.alarms, shared.clock, shared.settings, self._publish)
        return Endpoints(
            self.resource_store,
            operations,
            context,
            self.alarms,
            self._publish,
            self.quotas.check,
            is_scalable_target=lambda name, variant: self.autoscaling.is_registered(name, variant),
        )

    def _service_routes(self) -> Mapping[str, ServiceRoute]:
        shared = self._shared
        inputs = Inputs(shared.images, self.clients, shared.rights)
        sagemaker = SageMaker(self.resource_store, self.endpoints, self.jobs, shared.clock, inputs)
        return {
            "SageMaker": ServiceRoute("sagemaker", sagemaker, sagemaker_moto_may),
            "ServiceQuotasV20190624": ServiceRoute("service-quotas", self.quotas, lambda _: False),
            "AnyScaleFrontendService": ServiceRoute(
                "application-autoscaling", self.autoscaling, lambda _: False
            ),
            "ResourceGroupsTaggingAPI_20170126": ServiceRoute(
                "resourcegroupstaggingapi", RefusedService(), lambda _: False
            ),
        }

    def _ticker(self) -> Ticker:
        shared, endpoints = self._shared, self.endpoints.all.values
        kill = InstanceKiller(shared.faults, endpoints, self.measurements, shared.clock).tick
        return Ticker(
            (self.alarms.tick, self.autoscaling.tick, kill),
            endpoints,
            self.measurements,
            shared.clock,
            shared.settings.metrics_seconds,
        )

    def _publish(self, endpoint: Endpoint) -> None:
        """Route requests as the endpoint stands now, or not at all while it does not serve."""
        if endpoint.live is None or endpoint.status == "Deleting":
            self.router.table.pop(endpoint.name, None)
        else:
            self.router.table[endpoint.name] = endpoint.route()


class Regions:
    """The services of every account and Region that has been called; the exported credentials' from the start."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._all: dict[Place, Regional] = {HOME: Regional(HOME, shared)}
        self._is_started = False

    def start(self) -> None:
        """Begin to tick everywhere."""
        self._is_started = True
        for each in self._all.values():
            each.start()

    async def stop(self) -> None:
        """End all work. Repeatable."""
        for each in self._all.values():
            await each.stop()

    def here(self) -> Regional:
        """Return the services of the current account and Region, made if need be. For the event loop alone.

        Raises AwsError for a Region that AWS does not have.
        """
        place = CURRENT.get()
        if place not in self._all:
            if place.region not in regions_of_aws():
                raise not_imitated(f"The region {place.region}")
            self._all[place] = Regional(place, self._shared)
            if self._is_started:
                self._all[place].start()
        return self._all[place]

    def router(self) -> Router | None:
        """Return the router of the current account and Region; None where nothing was ever called."""
        services = self._all.get(CURRENT.get())
        return services.router if services else None

    def fleet_of(self, endpoint: str, config: str) -> str:
        """Return "new" for the config that a running deployment of the current place moves to, else "old"."""
        services = self._all.get(CURRENT.get())
        found = services.endpoints.all.get(endpoint) if services else None
        new = found.pending if found and found.live else None
        return "new" if new and new.config.name == config else "old"

    async def status(self) -> dict[str, Any]:
        """Describe the endpoints, alarms and scaling of all places, in one list of each kind."""
        found: dict[str, Any] = {}
        for each in tuple(self._all.values()):
            for name, listed in (await each.status()).items():
                found[name] = found.get(name, []) + listed
        return found
