"""The operations on models, endpoint configs and tags, which only keep records."""

from collections.abc import Iterable
from typing import Any

from local_aws.clock import Clock
from local_aws.errors import AwsError, LeftToMoto
from local_aws.sagemaker.describe import describe_config, describe_model
from local_aws.sagemaker.listing import Row, list_page, page_of
from local_aws.sagemaker.resources import (
    EndpointConfig,
    Model,
    ResourceStore,
    arn,
    duplicate,
    is_taken,
    missing,
)
from local_aws.sagemaker.rules import check_config

MOST_TAGS = 50


class ResourceApi:
    """The operations on models, endpoint configs and tags."""

    def __init__(self, resource_store: ResourceStore, clock: Clock) -> None:
        self._resource_store, self._clock = resource_store, clock

    def create_model(self, request: dict[str, Any]) -> dict[str, Any]:
        """Keep a model whose inputs are checked."""
        name = request["ModelName"]
        if is_taken(name, self._resource_store.models):
            raise duplicate("model", name)
        self._resource_store.models[name] = Model(name, request, self._clock.now())
        return {"ModelArn": self._tag_new("model", name, request)}

    def describe_model(self, request: dict[str, Any]) -> dict[str, Any]:
        """Show a model."""
        return describe_model(self._resource_store.model(request["ModelName"]))

    def list_models(self, request: dict[str, Any]) -> dict[str, Any]:
        """List models."""
        return _list("Model", "model", self._resource_store.models.values(), request)

    def delete_model(self, request: dict[str, Any]) -> dict[str, Any]:
        """Delete a model; endpoints that run it keep their instances, and cannot start others."""
        name = self._resource_store.model(request["ModelName"]).name
        del self._resource_store.models[name]
        del self._resource_store.tags[arn("model", name)]
        return {}

    def create_config(self, request: dict[str, Any]) -> dict[str, Any]:
        """Keep an endpoint config; its models must exist."""
        check_config(request)
        name = request["EndpointConfigName"]
        if is_taken(name, self._resource_store.configs):
            raise duplicate("endpoint-config", name)
        for variant in request["ProductionVariants"]:
            self._resource_store.model(variant["ModelName"])
        self._resource_store.configs[name] = EndpointConfig(name, request, self._clock.now())
        return {"EndpointConfigArn": self._tag_new("endpoint-config", name, request)}

    def describe_config(self, request: dict[str, Any]) -> dict[str, Any]:
        """Show an endpoint config."""
        return describe_config(self._resource_store.config(request["EndpointConfigName"]))

    def list_configs(self, request: dict[str, Any]) -> dict[str, Any]:
        """List endpoint configs."""
        return _list("EndpointConfig", "endpoint-config", self._resource_store.configs.values(), request)

    def delete_config(self, request: dict[str, Any]) -> dict[str, Any]:
        """Delete an endpoint config, even one in use: AWS's documentation forbids that, its API does not."""
        name = self._resource_store.config(request["EndpointConfigName"]).name
        del self._resource_store.configs[name]
        del self._resource_store.tags[arn("endpoint-config", name)]
        return {}

    def add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tag one of our resources."""
        tags = self._tags(request["ResourceArn"])
        given = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        if len(tags | given) > MOST_TAGS:
            raise AwsError("ResourceLimitExceeded", f"A resource may have {MOST_TAGS} tags.")
        tags.update(given)
        return {"Tags": _tag_list(tags)}

    def list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        """List the tags of one of our resources."""
        page, token = page_of(_tag_list(self._tags(request["ResourceArn"])), request, MOST_TAGS)
        return {"Tags": page} | token

    def delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        """Remove tags from one of our resources."""
        tags = self._tags(request["ResourceArn"])
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return {}

    def _tag_new(self, kind: str, name: str, request: dict[str, Any]) -> str:
        resource = arn(kind, name)
        self._resource_store.tags[resource] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        return resource

    def _tags(self, resource: str) -> dict[str, str]:
        """Find the tags of an ARN. Raises LeftToMoto for kinds that are moto's."""
        kind, _, name = resource.rpartition(":")[2].partition("/")
        if resource in self._resource_store.tags:
            return self._resource_store.tags[resource]
        if kind in ("model", "endpoint", "endpoint-config"):
            raise missing(kind, name)
        raise LeftToMoto


def _tag_list(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _list(
    prefix: str, kind: str, resources: Iterable[Model | EndpointConfig], request: dict[str, Any]
) -> dict[str, Any]:
    rows = []
    for one in resources:
        summary = {
            f"{prefix}Name": one.name,
            f"{prefix}Arn": arn(kind, one.name),
            "CreationTime": one.created,
        }
        rows.append(Row(one.name, one.created, one.created, "", summary))
    return list_page(rows, request, f"{prefix}s")
