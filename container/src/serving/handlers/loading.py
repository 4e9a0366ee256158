"""Choose the handler, once, in gunicorn's master: a user's program or the project's own model.

PyTorch is imported only if it computes: not for the project's model in another engine.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from serving import engines
from serving.engines import Choice, Engine, LoadNetwork, ModelProblem, agreement, choice, record
from serving.engines.agreement import Limit
from serving.engines.record import Record
from serving.handlers import golden_cases, requirements, toolkit_variables, user_program
from serving.handlers.errors import CannotLoad
from serving.handlers.golden_cases import GoldenCases
from serving.handlers.handler import Handler
from serving.handlers.joining import Batching, Joining
from serving.handlers.project_model import ProjectModel
from serving.platform import json_logging, limits

_TORCHSCRIPT = ("*.pt", "*.pth")


def load(model_dir: Path, environ: Mapping[str, str], project: ProjectModel) -> Handler:
    """Return the handler for the model in `model_dir`.

    code/inference.py is served if it exists, else model.safetensors by the project's own network, else a
    TorchScript model by the toolkit's defaults. Raises CannotLoad, also for files that differ from
    engines.json.
    """
    toolkit_variables.check_supported(environ)
    json_logging.write_python_logging(toolkit_variables.log_level(environ))
    warning = toolkit_variables.unused_warning(environ)
    if warning:
        _print(warning)
    found = _checked_record(model_dir)
    program = user_program.find(model_dir, environ)
    if program is None and (
        found or (model_dir / engines.WEIGHTS).is_file() or not _has_torchscript(model_dir)
    ):
        return project.handler(_engine(model_dir, environ, found, project.load_network))
    if program is not None:
        requirements.ensure_installed(program.directory / "requirements.txt", environ)
    from serving.handlers.user_handler import UserHandler  # it imports PyTorch

    if found is None or _chosen(environ, found).engine == engines.TORCH:
        handler = UserHandler(program, model_dir, environ)
    else:
        engine = _engine(model_dir, environ, found, project.load_network)
        check = _check_by_example(model_dir, found.limits[_chosen(environ, found).precision])
        handler = UserHandler(program, model_dir, environ, engine, check)
    handler.batching = _batching(environ)
    return handler


def _batching(environ: Mapping[str, str]) -> Batching | None:
    """Read the batching of a program that the environment asks for; None is none. Raises BadLimit."""
    most, padding = limits.program_batch_instances(environ), limits.batch_padding(environ)
    return Batching(most, Joining(padding)) if most > 1 else None


def read_golden(model_dir: Path, environ: Mapping[str, str]) -> GoldenCases | None:
    """Read the archive's golden cases, and how far the engine may be from them. Raises CannotLoad."""
    found = _checked_record(model_dir, is_verified=True)
    chosen = _chosen(environ, found) if found else Choice(engines.TORCH)
    limit = found.limits[chosen.precision] if found and chosen.engine != engines.TORCH else None
    return golden_cases.read(model_dir, limit)


def _engine(
    model_dir: Path, environ: Mapping[str, str], found: Record | None, load_network: LoadNetwork
) -> Engine:
    """Load the chosen engine."""
    chosen = _chosen(environ, found)
    _print(f"engine {chosen}" + (f", chosen on {found.measured_on}" if found else ""))
    try:
        return engines.load(chosen, model_dir, load_network)
    except ModelProblem as error:
        raise CannotLoad(str(error)) from error


def _check_by_example(model_dir: Path, limit: Limit) -> Callable[[Engine], None]:
    """Return the check of an engine by the example that it was exported with, if there was one."""
    try:
        example = agreement.read_example(model_dir)
    except ValueError as error:
        raise CannotLoad(str(error)) from error
    if example is None:
        return lambda _engine: None
    return lambda engine: example.check(engine.predict(example.instances), limit)


def _chosen(environ: Mapping[str, str], found: Record | None) -> Choice:
    try:
        return choice.choose(environ, found)
    except choice.BadChoice as error:
        raise CannotLoad(str(error)) from error


def _checked_record(model_dir: Path, *, is_verified: bool = False) -> Record | None:
    try:
        found = record.read(model_dir)
        if found is not None and not is_verified:
            record.verify(found, model_dir)
    except record.BadArchive as error:
        raise CannotLoad(str(error)) from error
    return found


def _has_torchscript(model_dir: Path) -> bool:
    return any(file for pattern in _TORCHSCRIPT for file in model_dir.glob(pattern))


def _print(line: str) -> None:
    print(f"serve: {line}", file=sys.stderr, flush=True)
