"""The errors of a config file, key by key; for an unknown key the error suggests the closest valid key."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one line for each problem, unknown keys first: they often explain the missing ones."""
    found = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    return [_problem(each, model) for each in found]


def _problem(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    where = ".".join(map(str, problem["loc"])) or "(file)"
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}"
    right = nearest_key([part for part in problem["loc"] if isinstance(part, str)], model)
    return f"{where}: there is no such key" + (f"; did you mean {right}?" if right else "")


def nearest_key(wrong: Sequence[str], model: type[BaseModel]) -> str | None:
    """Return the closest valid key: of the same section, else of the same name elsewhere."""
    section, name = tuple(wrong[:-1]), wrong[-1]
    keys = list(_keys(model))
    here = {key[-1]: key for key in keys if key[:-1] == section}
    if close := get_close_matches(name, here, n=1):
        return ".".join(here[close[0]])
    everywhere = {key[-1]: key for key in reversed(keys)}
    close = get_close_matches(name, everywhere, n=1, cutoff=0.8)
    return ".".join(everywhere[close[0]]) if close else None


def _keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*above, name)
        for section in _sections(field.annotation):
            yield from _keys(section, (*above, name))


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models within an annotation: itself, of a list, or of an optional."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
