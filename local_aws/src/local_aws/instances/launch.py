"""The launcher of instances: one per run, for one kind of instance."""

import asyncio
from collections.abc import Callable

from local_aws.instances.availability import availability
from local_aws.instances.cgroup import Cgroup, usable_parent
from local_aws.instances.container import ContainerInstance
from local_aws.instances.engine import Engine
from local_aws.instances.health import Pinger
from local_aws.instances.instance import Instance, InstanceSpec
from local_aws.instances.instance_types import instance_type
from local_aws.instances.model_data import ModelData
from local_aws.instances.process import ProcessInstance
from local_aws.instances.started_resources import StartedResources
from local_aws.instances.sweep import sweep
from local_aws.instances.training import ContainerTraining, ProcessTraining, Training, TrainingSpec
from local_aws.settings import Settings


class Launcher:
    """The launcher of instances of one kind (`kind`, chosen for `reason`); `close` stops them all.

    `models` holds the unpacked model data of this run; `control_group` is the parent of the groups of its
    processes, None where none can be made. Made outside, used inside one event loop.
    Raises UnavailableError when the settings demand a kind that this machine cannot run.
    """

    def __init__(
        self, settings: Settings, find_control_group: Callable[[str], Cgroup | None] = usable_parent
    ) -> None:
        self.kind, self.reason = (chosen := availability(settings)).kind, chosen.reason
        self._settings = settings
        self._engine = Engine() if self.kind == "docker" else None
        self._resources = StartedResources(settings.state_dir)
        self.control_group = find_control_group(self._resources.owner) if self.kind == "process" else None
        self._pinger = Pinger()
        self._instances: list[ContainerInstance | ProcessInstance | Training] = []
        self.models = ModelData(self._resources.directory / "models")

    async def launch(self, spec: InstanceSpec) -> Instance:
        """Start one instance, recorded on disk first; it is not yet healthy.

        Raises LaunchError when it cannot be started, AwsError for an instance type without figures.
        """
        self._instances = [instance for instance in self._instances if not instance.stopped]
        if self._engine is not None:
            container = ContainerInstance(spec, self._resources, self._pinger, self._engine)
            self._instances.append(container)
            await container.start()
            return container
        process = ProcessInstance(spec, self._resources, self._pinger, self.control_group)
        self._instances.append(process)
        await process.start(self._settings.process_command)
        return process

    def training(self, spec: TrainingSpec) -> Training:
        """Prepare a run of `train`, not yet started. Raises AwsError for an instance type without figures."""
        instance_type(spec.instance_type)
        made: Training = (
            ContainerTraining(spec, self._resources, self._engine)
            if self._engine is not None
            else ProcessTraining(spec, self._resources, self._settings.train_command)
        )
        self._instances = [*(instance for instance in self._instances if not instance.stopped), made]
        return made

    def sweep(self) -> list[str]:
        """Remove the leftovers of crashed runs; return one line for each. Blocks."""
        return sweep(self._resources, self._engine)

    async def close(self, grace_seconds: float = 30.0) -> None:
        """Stop every instance that is still there and remove this run's files. Repeatable."""
        await asyncio.gather(*(instance.stop(grace_seconds) for instance in self._instances))
        await self._pinger.close()
        self.models.remove()
        self._resources.close()
        if self._engine is not None:
            self._engine.close()
