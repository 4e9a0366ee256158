"""Where instances come from: one launcher per run, of one kind."""

import asyncio

from local_aws.instances.cgroup import Cgroup, usable_parent
from local_aws.instances.health import Pinger
from local_aws.instances.instance import Instance, InstanceSpec
from local_aws.instances.ledger import Ledger
from local_aws.instances.model_data import ModelData
from local_aws.instances.process import ProcessInstance
from local_aws.instances.sweep import sweep
from local_aws.settings import Settings


class Launcher:
    """Starts instances of one kind, and ends with all of them stopped.

    `models` holds the unpacked model data of this run. Used from one event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self.kind = "process"
        self._settings = settings
        self._ledger = Ledger(settings.state_dir)
        self._pinger = Pinger()
        self._instances: set[Instance] = set()
        self.models = ModelData(self._ledger.directory / "models")
        self._parent: Cgroup | None = usable_parent(self._ledger.owner)

    async def launch(self, spec: InstanceSpec) -> Instance:
        """Start one instance; it is on disk before it runs, and not yet healthy. Raises LaunchError."""
        instance = ProcessInstance(spec, self._ledger, self._pinger, self._parent)
        await instance.start(self._settings.process_command)
        self._instances.add(instance)
        return instance

    def sweep(self) -> list[str]:
        """Remove what crashed runs left; say what was removed, one line each."""
        return sweep(self._ledger, lambda _: None)

    async def close(self, grace_seconds: float = 30.0) -> None:
        """Stop every instance that is still there and remove this run's files. Repeatable."""
        await asyncio.gather(*(instance.stop(grace_seconds) for instance in self._instances))
        await self._pinger.close()
        self.models.remove()
        self._ledger.close()
