"""The whole of this AWS: its parts connected, started in order and stopped in reverse."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from aiohttp import web

from local_aws import bucket_policies, cloudwatch, identity, instances, s3_checksums
from local_aws.authorisation.execution_roles import ExecutionRoles
from local_aws.authorisation.facts import ExistingResources
from local_aws.authorisation.gate import Gate
from local_aws.authorisation.registry_requests import RegistryLogins
from local_aws.autoscaling import Autoscaling
from local_aws.clock import Clock
from local_aws.cloudwatch import MetricStore
from local_aws.cloudwatch.store import MetricKey
from local_aws.fault_page import FaultsPage
from local_aws.faults import Faults
from local_aws.front_door import FrontDoor, RefusedService, ServiceRoute
from local_aws.instance_killer import InstanceKiller
from local_aws.measurements import Measurements
from local_aws.moto_clients import MotoClients
from local_aws.moto_host import MotoHost
from local_aws.protocols import EveryRight, RoleRights
from local_aws.quotas import Quotas
from local_aws.registry import Ecr, Proxy, Registry
from local_aws.registry.ecr import moto_may as ecr_moto_may
from local_aws.request_checks import check_requests
from local_aws.router import Router
from local_aws.sagemaker import model_registry
from local_aws.sagemaker.api import SageMaker
from local_aws.sagemaker.api import moto_may as sagemaker_moto_may
from local_aws.sagemaker.endpoint import Endpoint
from local_aws.sagemaker.endpoints import Endpoints
from local_aws.sagemaker.inputs import Inputs
from local_aws.sagemaker.member import FleetContext
from local_aws.sagemaker.operations import Operations
from local_aws.sagemaker.resources import ResourceStore
from local_aws.sagemaker.training import TrainingJobs
from local_aws.settings import Settings
from local_aws.status import status
from local_aws.ticker import Ticker

THREADS = 64


class LocalAws:
    """One AWS on one port; `stop` leaves nothing behind. At most one per process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock(settings.time_scale)
        self.faults = Faults(self._fleet_of)
        self.store = MetricStore(self.clock, self._metric_delay)
        self.alarms = cloudwatch.install(self.store, self.clock)
        model_registry.install()
        s3_checksums.install()
        bucket_policies.install(enforced_before=settings.enforces_iam)
        identity.install(settings.issuer_urls)
        self.measurements = Measurements(self.store, settings.metrics_seconds)
        self.launcher = instances.launcher(settings)
        self.registry = Registry(settings)
        self.resource_store = ResourceStore()
        self.router = Router(
            timeout_seconds=settings.invocation_timeout_seconds,
            stream_seconds=settings.stream_timeout_seconds,
            faults=self.faults,
            max_payload_bytes=settings.max_payload_bytes,
            record=self.measurements.record,
        )
        self.moto = MotoHost()
        self.clients = MotoClients(self.moto.url)
        self.quotas = Quotas(settings.quotas)
        self.rights: RoleRights = ExecutionRoles() if settings.enforces_iam else EveryRight()
        self.endpoints = self._make_endpoints()
        self.jobs = TrainingJobs(
            self.resource_store, self.launcher.training, self.clients, self.clock, self.rights
        )
        self.autoscaling = Autoscaling(self.alarms, self.endpoints, self.clock)
        self._stack = AsyncExitStack()

    async def start(self, port: int) -> str:
        """Serve on `port` of 127.0.0.1 (0: any); return the address. Raises OSError when it is taken."""
        try:
            return await self._start(port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything that was started. Repeatable."""
        await self._stack.aclose()

    async def _start(self, port: int) -> str:
        self._stack.push_async_callback(self.launcher.close, self.settings.stop_grace_seconds)
        # Stopping an instance holds a thread for as long as it drains: the usual six would queue.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        listener = socket.create_server(("127.0.0.1", port))
        self._stack.callback(listener.close)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await asyncio.to_thread(self.launcher.sweep)
        self.moto.start({"cloudformation": partial(_install_cloudformation, url)})
        self._stack.push_async_callback(asyncio.to_thread, self.moto.stop)
        await self.registry.start()
        self._stack.push_async_callback(self.registry.stop)
        self._stack.push_async_callback(self.endpoints.abandon)
        self._stack.push_async_callback(self.jobs.abandon)
        logins = RegistryLogins()
        ecr = Ecr(self.registry, url, self.faults, logins.password)
        proxy = Proxy(self.registry, ecr, logins if self.settings.enforces_iam else None)
        self._stack.push_async_callback(proxy.close)
        door = FrontDoor(self.moto.url, self._service_routes(ecr))
        await door.start()
        self._stack.push_async_callback(door.stop)
        ticking = asyncio.create_task(self._ticker().run())
        self._stack.push_async_callback(_cancel, ticking)
        await self._listen(listener, door, proxy)
        return url

    async def _listen(self, listener: socket.socket, door: FrontDoor, proxy: Proxy) -> None:
        checks = check_requests(self.faults, strict=self.settings.strict_auth, gate=self._gate())
        app = web.Application(client_max_size=self.settings.max_payload_bytes, middlewares=[checks])
        app.router.add_post("/endpoints/{name}/invocations", self.router.handle)
        app.router.add_post("/endpoints/{name}/invocations-response-stream", self.router.stream)
        app.router.add_route("*", "/endpoints/{rest:.*}", door.refuse)
        app.router.add_route("*", "/moto-api{rest:.*}", door.refuse)  # it would forget moto's half alone
        app.router.add_route("*", "/v2/{rest:.*}", proxy.handle)
        app.router.add_get("/_local_aws/status", self._status)
        app.router.add_route("*", "/_local_aws/faults", FaultsPage(self.faults).handle)
        app.router.add_route("*", "/{rest:.*}", door.handle)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=1.0)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listener).start()

    def _gate(self) -> Gate | None:
        """Make the gate of LOCAL_AWS_IAM=enforce."""
        if not self.settings.enforces_iam:
            return None
        return Gate(ExistingResources(self.resource_store, self.endpoints, self.alarms))

    def _make_endpoints(self) -> Endpoints:
        context = FleetContext(
            launcher=self.launcher,
            settings=self.settings,
            clock=self.clock,
            unpack=lambda source: self.launcher.models.unpack(source, self.clients),
            keep_logs=self.clients.keep_logs,
            faults=self.faults,
            rights=self.rights,
        )
        operations = Operations(self.alarms, self.clock, self.settings, self._publish)
        return Endpoints(
            self.resource_store,
            operations,
            context,
            self.alarms,
            self._publish,
            self.quotas.check,
            is_scalable_target=lambda name, variant: self.autoscaling.is_registered(name, variant),
        )

    def _service_routes(self, ecr: Ecr) -> dict[str, ServiceRoute]:
        inputs = Inputs(ecr.images, self.clients, self.rights)
        sagemaker = SageMaker(self.resource_store, self.endpoints, self.jobs, self.clock, inputs)
        return {
            "SageMaker": ServiceRoute("sagemaker", sagemaker, sagemaker_moto_may),
            "ServiceQuotasV20190624": ServiceRoute("service-quotas", self.quotas, lambda _: False),
            "AnyScaleFrontendService": ServiceRoute(
                "application-autoscaling", self.autoscaling, lambda _: False
            ),
            "AmazonEC2ContainerRegistry_V20150921": ServiceRoute("ecr", ecr, ecr_moto_may),
            "ResourceGroupsTaggingAPI_20170126": ServiceRoute(
                "resourcegroupstaggingapi", RefusedService(), lambda _: False
            ),
        }

    def _ticker(self) -> Ticker:
        kill = InstanceKiller(self.faults, self.endpoints.all.values, self.measurements, self.clock).tick
        return Ticker(
            (self.alarms.tick, self.autoscaling.tick, kill),
            self.endpoints.all.values,
            self.measurements,
            self.clock,
            self.settings.metrics_seconds,
        )

    def _fleet_of(self, endpoint: str, config: str) -> str:
        """Return "new" for the config that a running deployment moves to, else "old"."""
        found = self.endpoints.all.get(endpoint)
        new = found.pending if found and found.live else None
        return "new" if new and new.config.name == config else "old"

    def _metric_delay(self, key: MetricKey) -> float:
        """Return the AWS seconds until a period of one of AWS's own metrics can be read."""
        of = dict(key.dimensions)
        late = self.faults.lateness(of.get("EndpointName"), of.get("EndpointConfigName"))
        return self.settings.metric_delay_seconds + late

    def _publish(self, endpoint: Endpoint) -> None:
        """Route requests as the endpoint stands now, or not at all while it does not serve."""
        if endpoint.live is None or endpoint.status == "Deleting":
            self.router.table.pop(endpoint.name, None)
        else:
            self.router.table[endpoint.name] = endpoint.route()

    async def _status(self, _: web.Request) -> web.Response:
        further: dict[str, Any] = {
            "instances": {"kind": self.launcher.kind, "reason": self.launcher.reason},
            "time_scale": self.settings.time_scale,
            "cpu_scale": self.settings.cpu_scale,
            "faults": [fault.shown() for fault in self.faults.on.values()],
            "alarms": self.alarms.summary(),
            **await self.autoscaling.summary(),
        }
        everything = status(
            self.endpoints.all.values(), self.resource_store.configs, self.measurements, further
        )
        return web.json_response(everything)


def _install_cloudformation(url: str) -> None:
    """Install CloudFormation behind moto at its first request: importing it takes as much memory as all the rest."""
    from local_aws import cloudformation

    cloudformation.install(MotoClients(url).client)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
