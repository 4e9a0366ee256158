"""The base of every file the pipeline reads or writes: frozen, strict about unknown keys."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Immutable; a key that is not declared is refused. Field `schema_version` travels as "schema"."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    def document(self) -> dict[str, Any]:
        """Return the content of the JSON file, by the names that the file uses."""
        return self.model_dump(mode="json", by_alias=True)

    def save(self, path: Path) -> None:
        """Write the document to `path`, making its folder where it is missing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(by_alias=True, indent=2) + "\n")
