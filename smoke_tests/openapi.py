"""The release's OpenAPI description (container/openapi.json): media types, and the schema of JSON answers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

DOCUMENT = Path(__file__).parents[1] / "container" / "openapi.json"


@dataclass(frozen=True)
class ApiDescription:
    """The media types of requests and responses, in the document's order, and the whole document."""

    request_types: tuple[str, ...]
    response_types: tuple[str, ...]
    document: dict[str, Any]

    def schema_errors(self, answer: object) -> Iterable[str]:
        """Yield every violation of the document's Response schema in a JSON answer."""
        schema = {"$ref": "#/components/schemas/Response", "components": self.document["components"]}
        for error in jsonschema.Draft202012Validator(schema).iter_errors(answer):
            yield f"{error.json_path}: {error.message[:200]}"


def read_openapi(path: Path) -> ApiDescription:
    """Read an OpenAPI document.

    Raises LookupError when it has no POST /invocations with request and response types.
    """
    document = json.loads(path.read_text())
    try:
        invocation = document["paths"]["/invocations"]["post"]
        request_types = tuple(invocation["requestBody"]["content"])
        response_types = tuple(invocation["responses"]["200"]["content"])
    except KeyError as missing:
        raise LookupError(
            f"{path} does not describe the requests and responses of POST /invocations: it has no {missing}"
        ) from None
    return ApiDescription(request_types, response_types, document)
