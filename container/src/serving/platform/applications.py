"""Import the applications at the top of container/src under names that no module of a user's has.

A user's program may have a `predictor.py` or a `wsgi.py` of its own. Imported as `predictor`, ours would be
what the program gets.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def load(file: Path) -> ModuleType:
    """Import `file`; its name in sys.modules begins with this module's."""
    name = f"{__name__}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file}: expected a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def wsgi(file: str) -> Any:
    """Return the WSGI application in `file`: gunicorn's target is `serving.platform.applications:wsgi('…')`."""
    return load(Path(file)).app
