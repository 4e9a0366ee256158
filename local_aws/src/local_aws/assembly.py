"""The whole of this AWS: its parts connected, started in order and stopped in reverse."""

import asyncio
import socket
from collections.abc import Mapping
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
from local_aws.clock import Clock
from local_aws.cloudwatch import MetricStore
from local_aws.cloudwatch.store import MetricKey
from local_aws.fault_page import FaultsPage
from local_aws.faults import Faults
from local_aws.front_door import FrontDoor, ServiceRoute
from local_aws.moto_clients import MotoClients
from local_aws.moto_host import MotoHost
from local_aws.protocols import EveryRight, RoleRights
from local_aws.regional import Regions, Shared
from local_aws.registry import Ecr, Proxy, Registry
from local_aws.registry.ecr import moto_may as ecr_moto_may
from local_aws.request_checks import check_requests
from local_aws.runtime_errors import no_such_endpoint
from local_aws.sagemaker import model_registry
from local_aws.settings import Settings

THREADS = 64


class LocalAws:
    """One AWS on one port; `stop` leaves nothing behind. At most one per process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock(settings.time_scale)
        self.faults = Faults(lambda endpoint, config: self.regions.fleet_of(endpoint, config))
        cloudwatch.install(lambda _: MetricStore(self.clock, self._metric_delay))
        model_registry.install()
        s3_checksums.install()
        bucket_policies.install(enforced_before=settings.enforces_iam)
        identity.install(settings.issuer_urls)
        self.launcher = instances.launcher(settings)
        self.registry = Registry(settings)
        self.moto = MotoHost()
        self.regions: Regions
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
        logins = RegistryLogins()
        ecr = Ecr(self.registry, url, self.faults, logins.password)
        self.regions = self._make_regions(ecr)
        self._stack.push_async_callback(self.regions.stop)
        proxy = Proxy(self.registry, ecr, logins if self.settings.enforces_iam else None)
        self._stack.push_async_callback(proxy.close)
        route = {"AmazonEC2ContainerRegistry_V20150921": ServiceRoute("ecr", ecr, ecr_moto_may)}
        door = FrontDoor(self.moto.url, lambda: self._routes_here(route), self.settings.regions)
        await door.start()
        self._stack.push_async_callback(door.stop)
        self.regions.start()
        await self._listen(listener, door, proxy)
        return url

    async def _listen(self, listener: socket.socket, door: FrontDoor, proxy: Proxy) -> None:
        checks = check_requests(self.faults, strict=self.settings.strict_auth, gate=self._gate())
        app = web.Application(client_max_size=self.settings.max_payload_bytes, middlewares=[checks])
        app.router.add_post("/endpoints/{name}/invocations", self._invoke)
        app.router.add_post("/endpoints/{name}/invocations-response-stream", self._stream)
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

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        router = self.regions.router()
        return await router.handle(request) if router else no_such_endpoint(request.match_info["name"])

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        router = self.regions.router()
        return await router.stream(request) if router else no_such_endpoint(request.match_info["name"])

    def _make_regions(self, ecr: Ecr) -> Regions:
        rights: RoleRights = ExecutionRoles() if self.settings.enforces_iam else EveryRight()
        parts = (self.settings, self.clock, self.faults, self.launcher)
        return Regions(Shared(*parts, rights=rights, moto_url=self.moto.url, images=ecr.images))

    def _gate(self) -> Gate | None:
        """Make the gate of LOCAL_AWS_IAM=enforce."""
        return Gate(ExistingResources(self.regions.here)) if self.settings.enforces_iam else None

    def _routes_here(self, everywhere: Mapping[str, ServiceRoute]) -> Mapping[str, ServiceRoute]:
        """Find the services of the request's account and Region; ECR's finds its place itself."""
        return {**self.regions.here().routes, **everywhere}

    def _metric_delay(self, key: MetricKey) -> float:
        """Return the AWS seconds until a period of one of AWS's own metrics can be read."""
        of = dict(key.dimensions)
        late = self.faults.lateness(of.get("EndpointName"), of.get("EndpointConfigName"))
        return self.settings.metric_delay_seconds + late

    async def _status(self, _: web.Request) -> web.Response:
        further: dict[str, Any] = {
            "instances": {"kind": self.launcher.kind, "reason": self.launcher.reason},
            "time_scale": self.settings.time_scale,
            "cpu_scale": self.settings.cpu_scale,
            "faults": [fault.shown() for fault in self.faults.on.values()],
        }
        return web.json_response(await self.regions.status() | further)


def _install_cloudformation(url: str) -> None:
    """Install CloudFormation behind moto at its first request: importing it takes as much memory as all the rest."""
    from local_aws import cloudformation

    cloudformation.install(lambda service, place: MotoClients(url, place).client(service))
