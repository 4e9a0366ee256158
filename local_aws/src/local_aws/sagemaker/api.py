"""The SageMaker service: each operation by its name."""

import asyncio
from collections.abc import Callable
from typing import Any

from local_aws.clock import Clock
from local_aws.sagemaker.endpoints import Endpoints
from local_aws.sagemaker.inputs import Inputs
from local_aws.sagemaker.resource_api import ResourceApi
from local_aws.sagemaker.resources import ResourceStore
from local_aws.sagemaker.tags import check_tags
from local_aws.sagemaker.training import TrainingJobs

Operation = Callable[[dict[str, Any]], dict[str, Any]]


def moto_may(action: str) -> bool:
    """Check whether moto may answer an operation: those of the Model Registry, which only keeps records.

    moto also answers for jobs that it never runs; those are refused here.
    """
    return "ModelPackage" in action


class SageMaker:
    """Answers the operations on models, endpoint configs, endpoints, training jobs and their tags."""

    def __init__(
        self,
        resource_store: ResourceStore,
        endpoints: Endpoints,
        jobs: TrainingJobs,
        clock: Clock,
        inputs: Inputs,
    ) -> None:
        kept = ResourceApi(resource_store, clock)
        self._operations: dict[str, Operation] = {
            "CreateModel": kept.create_model,
            "DescribeModel": kept.describe_model,
            "ListModels": kept.list_models,
            "DeleteModel": kept.delete_model,
            "CreateEndpointConfig": kept.create_config,
            "DescribeEndpointConfig": kept.describe_config,
            "ListEndpointConfigs": kept.list_configs,
            "DeleteEndpointConfig": kept.delete_config,
            "AddTags": kept.add_tags,
            "ListTags": kept.list_tags,
            "DeleteTags": kept.delete_tags,
            "CreateEndpoint": endpoints.create,
            "DescribeEndpoint": endpoints.describe,
            "ListEndpoints": endpoints.list,
            "UpdateEndpoint": endpoints.update,
            "UpdateEndpointWeightsAndCapacities": endpoints.update_weights_and_capacities,
            "DeleteEndpoint": endpoints.delete,
            "CreateTrainingJob": jobs.create,
            "DescribeTrainingJob": jobs.describe,
            "ListTrainingJobs": jobs.list,
            "StopTrainingJob": jobs.stop,
        }
        self._checks: dict[str, Callable[[dict[str, Any]], None]] = {
            "CreateModel": inputs.check_model,
            "CreateTrainingJob": inputs.check_training_job,
        }
        self.actions = frozenset(self._operations)

    async def handle(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises AwsError, or LeftToMoto for the tags of moto's resources."""
        check_tags(request.get("Tags", ()))
        if action in self._checks:
            await asyncio.to_thread(self._checks[action], request)
        return self._operations[action](request)
