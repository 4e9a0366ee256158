"""Model classes for moto's CloudFormation, one for each kind of resource; each calls this AWS's own APIs."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from botocore.model import Shape
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.core.common_models import CloudFormationModel

from local_aws.cloudformation.resource_kind import Call, Further, Kind
from local_aws.errors import not_imitated

Clients = Callable[[str], Any]
"""boto3 clients of this AWS's front door, by service."""

GONE = frozenset(
    {"NoSuchBucket", "NoSuchEntity", "NotFoundException", "ObjectNotFoundException"}
    | {"RepositoryNotFoundException", "ResourceNotFound"}
)
_NUMBERS: dict[str, Callable[[Any], Any]] = {"integer": int, "long": int, "float": float, "double": float}


class KindModel:
    """The methods of a model class for moto, without its `kind` and its way to `call` the API."""

    kind: ClassVar[Kind]

    @staticmethod
    def call(calls: Iterable[Call]) -> Any:
        """Make calls in order; return the answer of the last one. Raises ClientError, AwsError."""
        raise NotImplementedError

    def __init__(self, properties: dict[str, Any]) -> None:
        self.properties = properties
        self.answer = self.call([_creation(self.kind, properties)])
        self.physical_resource_id = self.kind.identity(properties, self.answer)
        try:
            self._make(self.kind.further, properties)
        except Exception:
            self.delete()
            raise

    @classmethod
    def cloudformation_type(cls) -> str:
        return cls.kind.type

    @classmethod
    def cloudformation_name_type(cls) -> str:
        return cls.kind.name

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr in cls.kind.attributes

    def get_cfn_attribute(self, attribute_name: str) -> str:
        if attribute_name not in self.kind.attributes:
            raise UnformattedGetAttTemplateException
        return self.kind.attributes[attribute_name](self.physical_resource_id, self.answer)

    @classmethod
    def create_from_cloudformation_json(cls, name: str, template: Any, *_: Any, **__: Any) -> Any:
        return cls(({cls.kind.name: name} if cls.kind.name else {}) | template["Properties"])

    @classmethod
    def update_from_cloudformation_json(cls, original_resource: Any, **given: Any) -> Any:
        original_resource.change(given["cloudformation_json"]["Properties"])
        return original_resource

    def change(self, properties: dict[str, Any]) -> None:
        """Change the resource's properties. Raises AwsError where AWS would replace the resource."""
        old = self.properties
        wanted = ({self.kind.name: old[self.kind.name]} if self.kind.name else {}) | properties
        changed = {name for name in old.keys() | wanted.keys() if old.get(name) != wanted.get(name)}
        fixed = {name for name in changed if not _can_change(self.kind, name, removed=name not in wanted)}
        if fixed:
            raise not_imitated(f"An update that changes or removes {min(fixed)} of {self.kind.type}")
        new = {name: wanted[name] for name in changed & wanted.keys()}
        if changed and self.kind.puts:
            self.answer = self.call([_creation(self.kind, wanted)])
        self._make(self.kind.changes, new)
        self._make(self.kind.undo, {name: old[name] for name in changed & old.keys()})
        self._make(self.kind.further, new)
        self.properties = wanted

    def delete(self, *_: Any) -> None:
        """Delete the resource; a missing one is no error, as on AWS."""
        try:
            self._make(self.kind.undo, self.properties)
            self.call(self.kind.delete(self.physical_resource_id, self.properties))
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE:
                raise

    def _make(self, how: Mapping[str, Further], values: Mapping[str, Any]) -> None:
        """Make the calls of `how` for those of its properties that `values` has."""
        for name in how.keys() & values.keys():
            self.call(how[name](self.physical_resource_id, values[name]))


def model_class(kind: Kind, clients: Clients) -> type[CloudFormationModel]:
    """Define the class that moto's parser finds by `kind.type` among the direct subclasses of its own."""
    members = {"kind": kind, "call": staticmethod(partial(_call, kind, clients))}
    return type("Resource", (KindModel, CloudFormationModel), members)


def as_api(value: Any, shape: Shape, where: str) -> Any:
    """Convert a template's value to the API's form: case of names, numbers, documents as text.

    Raises AwsError (NotImplementedByLocalAws) for a name that the API call does not know.
    """
    if shape.type_name == "structure" and isinstance(value, Mapping):
        members = {name.lower(): name for name in shape.members}
        beyond = sorted(name for name in value if name.lower() not in members)
        if beyond:
            raise not_imitated(f"{', '.join(beyond)} of {where}")
        named = {members[name.lower()]: inner for name, inner in value.items()}
        return {name: as_api(inner, shape.members[name], where) for name, inner in named.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [as_api(inner, shape.member, where) for inner in value]
    if shape.type_name == "map" and isinstance(value, Mapping):
        return {name: as_api(inner, shape.value, where) for name, inner in value.items()}
    if shape.type_name == "string" and not isinstance(value, str):
        return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    if shape.type_name in _NUMBERS and isinstance(value, str):
        return _NUMBERS[shape.type_name](value)
    if shape.type_name == "boolean" and isinstance(value, str):
        return value.lower() == "true"
    return value


def _can_change(kind: Kind, name: str, *, removed: bool) -> bool:
    if name in kind.further:
        return name not in kind.once and (name in kind.undo or not removed)
    return kind.puts or (name in kind.changes and not removed)


def _creation(kind: Kind, properties: Mapping[str, Any]) -> Call:
    prepared = kind.prepare({name: value for name, value in properties.items() if name not in kind.further})
    return kind.create, {kind.rename.get(name, name): value for name, value in prepared.items()}


def _call(kind: Kind, clients: Clients, calls: Iterable[Call]) -> dict[str, Any]:
    """Make calls in order; return the answer of the last one. Raises ClientError, AwsError."""
    answer: dict[str, Any] = {}
    client = clients(kind.service)
    for operation, given in calls:
        name = client.meta.method_to_api_mapping[operation]
        shape = client.meta.service_model.operation_model(name).input_shape
        answer = getattr(client, operation)(**as_api(given, shape, kind.type))
    return answer
