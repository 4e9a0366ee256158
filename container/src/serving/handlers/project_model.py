"""The seam between this server and the project's own model."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.engines import Engine, LoadNetwork
from serving.handlers.handler import Handler


@dataclass(frozen=True)
class ProjectModel:
    """All that the server is given of the project's model. `digits/project.py` has the one instance.

    The applications hand it over (`wsgi.py`, `train`, `python -m serving.engines`); no other module of
    `serving` knows the project.
    """

    handler: Callable[[Engine], Handler]
    load_network: LoadNetwork
    interface_digest: str  # 16 hex digits of the request's and the response's JSON Schema
