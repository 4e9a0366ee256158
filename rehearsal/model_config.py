"""The config of a rehearsal with another model than config names."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def config_without_comparison(configs: Mapping[str, dict[str, Any]], folder: Path, source: Path) -> Path:
    """Copy the folder `source`, with these environments' configs without the gates on quality and changed answers.

    They are about config's own model: what another one's metrics are called, and which answers are the same to its
    clients, is not known.
    """
    shutil.copytree(source, folder)
    for name, config in configs.items():
        verification = config["verification"] | {"quality": None}
        limits = config["limits"] | {"changed_answers_percent": None}
        written = config | {"verification": verification, "limits": limits}
        (folder / f"{name}.yaml").write_text(json.dumps(written, indent=2) + "\n")
    return folder
