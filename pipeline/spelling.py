"""What is wrong with a config file, key by key; a misspelt key is told the nearest right one."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one line for each problem, unknown keys first: they often explain the missing ones."""
    found = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    return [_problem(each, model) for each in found]


def _problem(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    where = ".".join(map(str, problem["loc"])) or "(file)"
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}"
    right = nearest_key(tuple(map(str, problem["loc"])), model)
    return f"{where}: there is no such key" + (f"; did you mean {right}?" if right else "")


def nearest_key(wrong: Sequence[str], model: type[BaseModel]) -> str | None:
    """Return the key that was probably meant: of the same section, else of the same name elsewhere."""
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
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, (*above, name))
