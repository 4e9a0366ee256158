"""The config of a rehearsal with another model than config names."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from rehearsal.models import config_of

CONFIG = Path("config")


def config_without_comparison(environments: Sequence[str], folder: Path) -> Path:
    """Write the environments to `folder` without the gates on quality and changed answers; return it.

    They are about config's own model: what another one's metrics are called, and which answers are the same to its
    clients, is not known.
    """
    shutil.copytree(CONFIG, folder)
    for name in environments:
        found = config_of(name)
        found["verification"] |= {"quality": None}
        found["limits"] |= {"changed_answers_percent": None}
        (folder / f"{name}.yaml").write_text(json.dumps(found, indent=2) + "\n")
    return folder
