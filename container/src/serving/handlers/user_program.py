"""Find and import a user's inference.py."""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from serving.handlers.errors import CannotLoad

PROGRAM_VARIABLE = "SAGEMAKER_PROGRAM"
DIRECTORY_VARIABLE = "SAGEMAKER_SUBMIT_DIRECTORY"
DEFAULT_PROGRAM = "inference.py"
_TOP = Path(__file__).resolve().parents[2]  # container/src
_COMPATIBLE = _TOP / "compatible"  # has sagemaker_inference, for programs that import it


@dataclass(frozen=True)
class Program:
    """A file of handler functions, and its folder."""

    file: Path
    directory: Path


def find(model_dir: Path, environ: Mapping[str, str]) -> Program | None:
    """Find the program; None if the archive has none and the environment names none.

    Raises CannotLoad when the environment names a file that does not exist.
    """
    submitted = (environ.get(DIRECTORY_VARIABLE) or "").removeprefix("file://")
    directory = Path(submitted) if submitted else model_dir / "code"
    if "://" in submitted:  # an archive repacked for serving has it in code/ as well
        directory = model_dir / "code"
    named = environ.get(PROGRAM_VARIABLE)
    file = directory / (named or DEFAULT_PROGRAM)
    if not file.is_file() and file.suffix != ".py":  # a module's name, as AWS's toolkit takes it
        file = file.with_name(f"{file.name}.py")
    if file.is_file():
        return Program(file, directory)
    if named is None and not submitted:
        return None
    asked = f"{PROGRAM_VARIABLE}={named or ''} {DIRECTORY_VARIABLE}={submitted}"
    raise CannotLoad(f"{file}: there is no such program ({asked}); put it into code/ of the archive")


def load(program: Program, model_dir: Path) -> ModuleType:
    """Import the program, its folder and then the model's first on sys.path. Raises whatever the program raises.

    This server's own folder comes behind all others, and `compatible` is the last: it replaces AWS's toolkit
    where that is not installed.
    """
    others = [entry for entry in sys.path if Path(entry).resolve() not in (_TOP, _COMPATIBLE)]
    first = [str(program.directory), str(model_dir)]
    _forget_own_modules([*first, *others])
    sys.path[:] = [*first, *others, str(_TOP), str(_COMPATIBLE)]
    name = program.file.stem
    spec = importlib.util.spec_from_file_location(name, program.file)
    if spec is None or spec.loader is None:
        raise CannotLoad(f"{program.file}: expected a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look it up there
    spec.loader.exec_module(module)
    return module


def _forget_own_modules(path: list[str]) -> None:
    """Let the program import `serving`, `digits`, `golden`, `predictor` or `wsgi` from `path`, if there is one.

    These are the names that container/src itself has loaded. Our modules keep the objects that they
    imported, so they go on working.
    """
    for name in {entry.stem for entry in _TOP.iterdir()} & sys.modules.keys():
        if PathFinder.find_spec(name, path) is not None:
            for loaded in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
                del sys.modules[loaded]
