"""Models, endpoint configs and their tags, kept as they were requested."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_aws.errors import AwsError, invalid
from local_aws.settings import ACCOUNT_ID, REGION

KINDS = {"model": "model", "endpoint-config": "endpoint configuration", "endpoint": "endpoint"}


def arn(kind: str, name: str) -> str:
    """Return the ARN of a resource; SageMaker's ARNs are lower-case."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:{kind}/{name.lower()}"


def missing(kind: str, name: str) -> AwsError:
    """Return the error for a resource that does not exist."""
    return invalid(f'Could not find {KINDS[kind]} "{arn(kind, name)}".')


def duplicate(kind: str, name: str) -> AwsError:
    """Return the error for a name that is taken."""
    return invalid(f'Cannot create already existing {KINDS[kind]} "{arn(kind, name)}".')


def is_taken(name: str, names: Iterable[str]) -> bool:
    """Check whether a new name is one of `names` in any case: SageMaker's names are unique so (CreateEndpoint).

    Their case is kept, and every other call has to match it (documented of InvokeEndpoint).
    """
    return name.lower() in map(str.lower, names)


@dataclass(frozen=True)
class Model:
    """A container image with its environment and its weights."""

    name: str
    request: dict[str, Any]
    created: float

    @property
    def container(self) -> dict[str, Any]:
        """The one container definition."""
        definition: dict[str, Any] = self.request.get("PrimaryContainer") or self.request["Containers"][0]
        return definition

    @property
    def role(self) -> str | None:
        """ARN of the execution role."""
        return self.request.get("ExecutionRoleArn")


@dataclass(frozen=True)
class ProductionVariant:
    """One variant of an endpoint config, with AWS's defaults filled in."""

    name: str
    model: str
    instance_type: str
    initial_count: int
    initial_weight: float
    routing: str
    startup_timeout_seconds: float | None

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "ProductionVariant":
        """Read a variant of a CreateEndpointConfig request."""
        return cls(
            name=request["VariantName"],
            model=request["ModelName"],
            instance_type=request["InstanceType"],
            initial_count=request.get("InitialInstanceCount", 1),
            initial_weight=request.get("InitialVariantWeight", 1.0),
            routing=request.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM"),
            startup_timeout_seconds=request.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        )


@dataclass(frozen=True)
class EndpointConfig:
    """An endpoint config; every field of the request is kept."""

    name: str
    request: dict[str, Any]
    created: float

    @property
    def variants(self) -> tuple[ProductionVariant, ...]:
        """Its production variants."""
        return tuple(ProductionVariant.of(v) for v in self.request["ProductionVariants"])

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Its MetricsConfig, perhaps empty."""
        given: dict[str, Any] = self.request.get("MetricsConfig", {})
        return given

    def instances(self, counts: Mapping[str, int]) -> Counter[str]:
        """Count the instances of new fleets by type; `counts` are by variant."""
        found: Counter[str] = Counter()
        for variant in self.variants:
            found[variant.instance_type] += counts[variant.name]
        return found


@dataclass
class ResourceStore:
    """All models, endpoint configs and tags; endpoints are kept elsewhere."""

    models: dict[str, Model] = field(default_factory=dict)
    configs: dict[str, EndpointConfig] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """Tags by ARN; every resource kept here has an entry, perhaps an empty one."""

    def model(self, name: str) -> Model:
        """Find a model. Raises AwsError when there is none."""
        if name not in self.models:
            raise missing("model", name)
        return self.models[name]

    def config(self, name: str) -> EndpointConfig:
        """Find an endpoint config. Raises AwsError when there is none."""
        if name not in self.configs:
            raise missing("endpoint-config", name)
        return self.configs[name]
