"""What the release declares: the media types it takes and gives, and the schema of its JSON answers.

The declaration is the OpenAPI document that the container publishes (container/openapi.json).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

DOCUMENT = Path(__file__).parents[1] / "container" / "openapi.json"


@dataclass(frozen=True)
class Declared:
    """`takes` and `gives` are media types, in the document's order; `document` is all of it."""

    takes: tuple[str, ...]
    gives: tuple[str, ...]
    document: dict[str, Any]

    def faults(self, answer: object) -> Iterable[str]:
        """Name every place where a JSON answer is not as the document's Response has it."""
        schema = {"$ref": "#/components/schemas/Response", "components": self.document["components"]}
        for error in jsonschema.Draft202012Validator(schema).iter_errors(answer):
            yield f"{error.json_path}: {error.message[:200]}"


def read_declared(path: Path) -> Declared:
    """Read an OpenAPI document.

    Raises LookupError when it has no POST /invocations with request and response types.
    """
    document = json.loads(path.read_text())
    try:
        invocation = document["paths"]["/invocations"]["post"]
        takes = tuple(invocation["requestBody"]["content"])
        gives = tuple(invocation["responses"]["200"]["content"])
    except KeyError as missing:
        raise LookupError(
            f"{path} does not say what POST /invocations takes and gives: no {missing}"
        ) from None
    return Declared(takes, gives, document)
