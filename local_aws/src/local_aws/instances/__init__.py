"""Instances behind endpoints: containers or processes that keep SageMaker's serving contract.

launcher = instances.launcher(settings)
launcher.sweep()                                  # what a crashed run left
model_dir = launcher.models.unpack(url, objects)  # blocks
instance = await launcher.launch(InstanceSpec(...))
await instance.ping(); await instance.limit(); await instance.stats(); await instance.stop()
await launcher.close()
"""

from local_aws.instances.instance import Instance, InstanceSpec, LaunchError, Line, Stats
from local_aws.instances.instance_types import InstanceType, instance_type
from local_aws.instances.launch import Launcher
from local_aws.instances.model_data import ModelData, ModelDataError, Objects, not_downloaded, split_uri
from local_aws.instances.training import Training, TrainingSpec
from local_aws.settings import Settings

__all__ = [
    "Instance",
    "InstanceSpec",
    "InstanceType",
    "LaunchError",
    "Launcher",
    "Line",
    "ModelData",
    "ModelDataError",
    "Objects",
    "Stats",
    "Training",
    "TrainingSpec",
    "instance_type",
    "launcher",
    "not_downloaded",
    "split_uri",
]


def launcher(settings: Settings) -> Launcher:
    """Return the launcher of this run."""
    return Launcher(settings)
