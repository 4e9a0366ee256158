"""An endpoint's life by the SageMaker SDK v3's resources: create, invoke, update, wait, scale, delete.

Run in a process of its own, with the exports of `local_aws up`: the SDK keeps its clients, and takes seconds to import.
Writes what it saw to the file it is given, as JSON: the SDK itself prints a lot. (Not tried: its `invoke_with_response_stream`, which takes any event stream for a dict.)
"""

import json
import sys
from pathlib import Path

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import (
    CapacitySize,
    ContainerDefinition,
    DeploymentConfig,
    DesiredWeightAndCapacity,
    ProductionVariant,
    RollingUpdatePolicy,
)

ROLE = "arn:aws:iam::123456789012:role/endpoints"
seen: dict[str, object] = {}


def config(release: str) -> EndpointConfig:
    container = ContainerDefinition(image="contract-server", environment={"RELEASE": release})
    model = Model.create(model_name=f"sdk-{release}", primary_container=container, execution_role_arn=ROLE)
    variant = ProductionVariant(
        variant_name="AllTraffic",
        model_name=model.get_name(),
        initial_instance_count=2,
        instance_type="ml.m5.large",
    )
    return EndpointConfig.create(endpoint_config_name=f"sdk-{release}", production_variants=[variant])


def answered(endpoint: Endpoint) -> str:
    answer = endpoint.invoke(body=b"hello", content_type="text/plain")
    return str(answer.custom_attributes).partition(";")[0]


def main() -> None:
    old, new = config("old"), config("new")
    endpoint = Endpoint.create(endpoint_name="sdk", endpoint_config_name=old.get_name())
    endpoint.wait_for_status("InService", poll=1, timeout=60)
    seen["created"] = answered(endpoint)

    endpoint.endpoint_config_name = new.get_name()
    batch = CapacitySize(type="INSTANCE_COUNT", value=1)
    policy = RollingUpdatePolicy(
        maximum_batch_size=batch, wait_interval_in_seconds=60
    )  # the SDK leaves a 0 out
    endpoint.update(deployment_config=DeploymentConfig(rolling_update_policy=policy))
    endpoint.wait_for_status("InService", poll=1, timeout=60)
    endpoint.refresh()
    seen["updated"] = [endpoint.endpoint_config_name, answered(endpoint)]

    wanted = DesiredWeightAndCapacity(variant_name="AllTraffic", desired_instance_count=1)
    endpoint.update_weights_and_capacities(desired_weights_and_capacities=[wanted])
    endpoint.wait_for_status("InService", poll=1, timeout=60)
    endpoint.refresh()
    seen["scaled"] = endpoint.production_variants[0].current_instance_count

    endpoint.delete()
    endpoint.wait_for_delete(poll=1, timeout=60)
    for one in (old, new):
        one.delete()
        Model.get(model_name=one.get_name()).delete()
    seen["left"] = [found.endpoint_name for found in Endpoint.get_all(name_contains="sdk")]
    Path(sys.argv[1]).write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
