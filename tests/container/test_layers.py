"""The order of packages in container/src: each imports only those before it."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.serve_process import SOURCE

LAYERS = (
    "compatible",
    "golden",  # a link to the package at the top of the repository
    "serving.platform",
    "serving.engines",
    "serving.handlers",
    "serving.http",
    "digits",
    "applications",  # programs, which nothing imports but wsgi.py, which imports predictor.py
)
APPLICATIONS = ("train", "serve", "wsgi.py", "predictor.py", "serving/engines/__main__.py")


def layer_of(name: str) -> str | None:
    """Return the layer of a module by its dotted name; None for a module from elsewhere."""
    if name.partition(".")[0] in ("wsgi", "predictor"):
        return "applications"
    return next((layer for layer in LAYERS if name == layer or name.startswith(f"{layer}.")), None)


def layer_of_file(path: Path) -> str | None:
    """Return the layer of a file, given its path in container/src."""
    if path.as_posix() in APPLICATIONS:
        return "applications"
    return layer_of(".".join(path.with_suffix("").parts))


def imported_layers(source: str) -> set[str]:
    """Return the layers that a module imports anywhere, in functions and for type checking as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or node.module is None or "." not in node.module
            names |= {f"{node.module}.{alias.name}" for alias in node.names} if node.level == 0 else set()
    return {layer for name in names if (layer := layer_of(name))}


def arrows_up(source: Path) -> Iterator[str]:
    """Yield a sentence for every import of a later layer."""
    programs = [source / name for name in APPLICATIONS]
    for path in sorted({*source.rglob("*.py"), *programs}):
        where = path.relative_to(source)
        own = layer_of_file(where)
        if where.as_posix() == "serving/__init__.py":
            continue  # the docstring of the order
        assert own is not None, f"{where} is in no layer"
        for other in imported_layers(path.read_text()):
            if LAYERS.index(other) > LAYERS.index(own):
                yield f"{where} imports {other}, which is above {own}"


def test_imports_point_down() -> None:
    assert list(arrows_up(SOURCE)) == []


def test_the_server_package_itself_imports_nothing() -> None:
    assert not imported_layers((SOURCE / "serving" / "__init__.py").read_text())


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("serving/http/service.py", "from digits import codec", "imports digits, which is above serving.http"),
        ("serving/engines/record.py", "import serving.handlers.media", "imports serving.handlers, which is above"),
        ("serving/platform/cpus.py", "def f():\n    from serving import engines", "imports serving.engines, which"),
        ("compatible/sagemaker_inference/utils.py", "import golden", "imports golden, which is above compatible"),
        ("golden/cases.py", "from serving.handlers import media", "imports serving.handlers, which is above golden"),
        ("digits/codec.py", "from predictor import decode", "imports applications, which is above digits"),
        ("compatible/sagemaker_inference/utils.py", "from serving.handlers import media", "is above compatible"),
    ],
)  # fmt: skip
def test_an_import_that_points_up_is_found(tmp_path: Path, file: str, line: str, says: str) -> None:
    source = Path(shutil.copytree(SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__")))
    (source / file).write_text((source / file).read_text() + f"\n{line}\n")

    [arrow] = arrows_up(source)

    assert arrow.startswith(f"{file} ")
    assert says in arrow
