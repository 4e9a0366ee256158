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
    """A file of handler functions, and its folder, which is first on sys.path."""

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
    if file.is_file():
        return Program(file, directory)
    if named is None and not submitted:
        return None
    asked = f"{PROGRAM_VARIABLE}={named or ''} {DIRECTORY_VARIABLE}={submitted}"
    raise CannotLoad(f"{file}: there is no such program ({asked}); put it into code/ of the archive")


def load(program: Program) -> ModuleType:
    """Import the program, its folder first on sys.path. Raises whatever the program raises.

    `compatible` is last on sys.path: it replaces AWS's toolkit where that is not installed.
    """
    sys.path.insert(0, str(program.directory))
    if str(_COMPATIBLE) not in sys.path:
        sys.path.append(str(_COMPATIBLE))
    _prefer_own_modules(program.directory)
    name = program.file.stem
    spec = importlib.util.spec_from_file_location(name, program.file)
    if spec is None or spec.loader is None:
        raise CannotLoad(f"{program.file}: expected a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look it up there
    spec.loader.exec_module(module)
    return module


def _prefer_own_modules(directory: Path) -> None:
    """Let the program import its own `serving`, `digits`, `predictor` or `wsgi`, if it has one.

    These are the names that container/src itself has loaded. Our modules keep the objects that they
    imported, so they go on working. The program's module runs when the program first uses it.
    """
    for name in {path.stem for path in _TOP.iterdir()} & sys.modules.keys():
        spec = PathFinder.find_spec(name, [str(directory)])
        if spec is None:
            continue
        if spec.loader is not None:  # a folder without __init__.py has none
            spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        if spec.loader is not None:
            spec.loader.exec_module(module)
