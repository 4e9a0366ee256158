"""Requests checked against botocore's own model of the API: what AWS would refuse, is refused."""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from local_aws.errors import AwsError, not_imitated

INVALID = {"ecr": "InvalidParameterException"}
"""The code of an invalid request, where it is not ValidationException."""


@cache
def service_model(service: str) -> ServiceModel:
    """Load the model of one service ("sagemaker")."""
    return botocore.session.get_session().get_service_model(service)


def check_request(service: str, action: str, request: dict[str, Any]) -> None:
    """Accept a request whose fields, types and limits are those of the API.

    Raises AwsError (ValidationException, or the service's own code) naming the first wrong fields, or NotImplementedByLocalAws
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
        raise _invalid(service, " ".join(report.generate_report().split("\n")))
    problems = list(_broken_limits(shape, request, ""))
    if problems:
        plural = "error" if len(problems) == 1 else "errors"
        raise _invalid(service, f"{len(problems)} validation {plural} detected: {'; '.join(problems)}")


def _invalid(service: str, text: str) -> AwsError:
    """Return the error of an invalid request, with the service's own code."""
    return AwsError(INVALID.get(service, "ValidationException"), text)


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
        yield from _broken_map(shape, value, where)
    elif shape.type_name == "string":
        yield from _broken_size(shape, len(value), value, where)
        yield from _broken_text(shape, value, where)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _broken_range(shape, value, where)


def _broken_map(shape: Shape, value: dict[str, Any], where: str) -> Iterator[str]:
    """Yield the sentences for a map; those for its keys and texts are of it as a whole (sagemaker-python-sdk#314)."""
    yield from _broken_size(shape, len(value), value, where)
    shown = f"{{{', '.join(f'{key}={member}' for key, member in value.items())}}}"
    yield from _broken_texts("keys", shape.key, value.keys(), shown, where)
    if shape.value.type_name == "string":
        yield from _broken_texts("value", shape.value, value.values(), shown, where)
        return
    for key, member in value.items():
        yield from _broken_limits(shape.value, member, f"{where}.{key}")


def _broken_texts(part: str, shape: Shape, texts: Iterable[str], shown: str, where: str) -> Iterator[str]:
    if any(problem for text in texts for problem in _broken_limits(shape, text, where)):
        limits = ", ".join(_limits(shape))
        yield _sentence(shown, where, f"Map {part} must satisfy constraint: [{limits}]")


def _limits(shape: Shape) -> Iterator[str]:
    """List all limits of a text, as AWS does for a map."""
    words = (("max", "less"), ("min", "greater"))
    for name, word in words:
        if name in shape.metadata:
            yield f"Member must have length {word} than or equal to {shape.metadata[name]}"
    if getattr(shape, "enum", None):
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    if "pattern" in shape.metadata:
        yield f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


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
