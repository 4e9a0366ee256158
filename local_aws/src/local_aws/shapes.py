"""Requests checked against botocore's own model of the API: what AWS would refuse, is refused."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from local_aws.errors import invalid, not_imitated


@cache
def service_model(service: str) -> ServiceModel:
    """Load the model of one service ("sagemaker")."""
    return botocore.session.get_session().get_service_model(service)


def check_request(service: str, action: str, request: dict[str, Any]) -> None:
    """Accept a request whose fields, types and limits are those of the API.

    Raises AwsError (ValidationException) naming the first wrong fields, or NotImplementedByLocalAws
    when the service has no such operation.
    """
    model = service_model(service)
    if action not in model.operation_names:
        raise not_imitated(f"The operation {action} of {service}")
    shape = model.operation_model(action).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise invalid(" ".join(report.generate_report().split("\n")))
    problems = list(_broken_limits(shape, request, ""))
    if problems:
        plural = "error" if len(problems) == 1 else "errors"
        raise invalid(f"{len(problems)} validation {plural} detected: {'; '.join(problems)}")


def _broken_limits(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Yield AWS's sentence for each limit that ParamValidator leaves to the service."""
    if shape.type_name == "structure":
        for name, member in value.items():
            field = name[:1].lower() + name[1:]
            yield from _broken_limits(shape.members[name], member, f"{where}.{field}".lstrip("."))
    elif shape.type_name == "list":
        yield from _broken_size(shape, len(value), value, where)
        for number, member in enumerate(value, start=1):
            yield from _broken_limits(shape.member, member, f"{where}.{number}.member")
    elif shape.type_name == "map":
        yield from _broken_size(shape, len(value), value, where)
        for key, member in value.items():
            yield from _broken_limits(shape.value, member, f"{where}.{key}")
    elif shape.type_name == "string":
        yield from _broken_size(shape, len(value), value, where)
        yield from _broken_text(shape, value, where)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _broken_range(shape, value, where)


def _broken_size(shape: Shape, size: int, value: Any, where: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and size > most:
        yield _sentence(value, where, f"Member must have length less than or equal to {most}")


def _broken_range(shape: Shape, value: float, where: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and value > most:
        yield _sentence(value, where, f"Member must have value less than or equal to {most}")


def _broken_text(shape: Shape, value: str, where: str) -> Iterator[str]:
    options = getattr(shape, "enum", None)
    if options and value not in options:
        yield _sentence(value, where, f"Member must satisfy enum value set: [{', '.join(options)}]")
    pattern = shape.metadata.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled is not None and compiled.fullmatch(value) is None:
        yield _sentence(value, where, f"Member must satisfy regular expression pattern: {pattern}")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    r"""Compile AWS's (Java's) pattern; None for the few that Python cannot read, such as `\p{L}`."""
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _sentence(value: Any, where: str, constraint: str) -> str:
    return f"Value '{value}' at '{where}' failed to satisfy constraint: {constraint}"
