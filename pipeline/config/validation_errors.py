"""The errors of a config file, key by key, each with what to write; an unknown key gets the closest valid one."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from pipeline.config.error_sentences import close_choice, must_be, quoted_hint, shown
from pipeline.config.yaml_file import written_as

Path = tuple[str | int, ...]


def problems_of(error: ValidationError, model: type[BaseModel], text: str = "") -> list[str]:
    """Return one line for each key, unknown keys first: they often explain the missing ones.

    `text`: of the file, so that a value is shown as it is written there.
    """
    by_key: dict[Path, list[Mapping[str, Any]]] = {}
    for each in sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden"):
        by_key.setdefault(_key_of(each["loc"], each["type"], model), []).append(each)
    return [f"{_dotted(key)}: {_sentence(key, found, model, text)}" for key, found in by_key.items()]


def _dotted(key: Path) -> str:
    return ".".join(map(str, key)) or "(file)"


def _key_of(loc: Path, kind: str, model: type[BaseModel]) -> Path:
    """Return the keys and indices of a place, without the names that pydantic gives the parts of a union."""
    if kind == "extra_forbidden":
        return loc
    keys = {key for path in _keys(model) for key in path}
    end = next((at for at, part in enumerate(loc) if isinstance(part, str) and part not in keys), len(loc))
    return loc[:end] if not _is_free(loc[:end], model) else loc[: end + 1]


def _is_free(path: Path, model: type[BaseModel]) -> bool:
    """Say whether the keys below this path are the user's own, as those of tags and environment."""
    names = tuple(part for part in path if isinstance(part, str))
    return names in set(_free_sections(model))


def _sentence(key: Path, problems: Sequence[Mapping[str, Any]], model: type[BaseModel], text: str) -> str:
    first = problems[0]
    if first["type"] == "extra_forbidden":
        right = nearest_key([part for part in key if isinstance(part, str)], model)
        return "there is no such key" + (f"; did you mean {right}?" if right else "")
    if first["type"] == "missing":
        return "it is missing; `python -m pipeline config schema` and docs/pipeline.md say what it holds"
    rules = [str(each["msg"]).removeprefix("Value error, ") for each in problems if must_be(each) is None]
    if rules:
        return "; ".join(dict.fromkeys(rules))
    written = written_as(text, key) if text else None
    wanted = " or ".join(dict.fromkeys(str(must_be(each)) for each in problems))
    hints = dict.fromkeys(f"{quoted_hint(each, written)}{close_choice(each)}" for each in problems)
    return f"it must be {wanted}, not {shown(first.get('input'), written)}{''.join(hints)}"


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


def _free_sections(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        if getattr(field.annotation, "__origin__", None) is dict:
            yield (*above, name)
        for section in _sections(field.annotation):
            yield from _free_sections(section, (*above, name))


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models within an annotation: itself, of a list, or of an optional."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
