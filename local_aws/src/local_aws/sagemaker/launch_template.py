"""The launch parameters of a variant, by its model and its endpoint config."""

from local_aws.instances import InstanceSpec
from local_aws.sagemaker.member import LaunchTemplate
from local_aws.sagemaker.resources import ProductionVariant, ResourceStore
from local_aws.settings import Settings


def launch_template(
    store: ResourceStore, settings: Settings, endpoint: str, config: str, variant: ProductionVariant
) -> LaunchTemplate:
    """Return the launch parameters of every instance of a variant. Raises AwsError when its model is gone."""
    model = store.model(variant.model)
    container = model.container
    spec = InstanceSpec(
        endpoint=endpoint,
        variant=variant.name,
        config=config,
        image=container["Image"],
        environment=container.get("Environment", {}),
        model_dir=None,
        instance_type=variant.instance_type,
        cpu_scale=settings.cpu_scale,
        memory_scale=settings.memory_scale,
    )
    return LaunchTemplate(
        spec,
        container.get("ModelDataUrl") or container.get("ModelDataSource"),
        variant.startup_timeout_seconds or settings.startup_timeout_seconds,
        model.role,
    )
