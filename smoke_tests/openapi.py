"""The release's OpenAPI description (container/openapi.json): media types, and the schemas of JSON bodies."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema

DOCUMENT = Path(__file__).parents[1] / "container" / "openapi.json"


@dataclass(frozen=True)
class ApiDescription:
    """The media types of requests and responses, in the document's order, and the whole document.

    A JSON request has `instances`, rows of numbers; its answer has as many `predictions`.
    """

    request_types: tuple[str, ...]
    response_types: tuple[str, ...]
    document: dict[str, Any]

    @cached_property
    def schemas(self) -> dict[str, Any]:
        """The schemas of the document, by name."""
        schemas: dict[str, Any] = self.document["components"]["schemas"]
        return schemas

    @property
    def instance(self) -> dict[str, Any]:
        """The schema of one instance."""
        schema: dict[str, Any] = self.schemas["Request"]["properties"]["instances"]["items"]
        return schema

    @property
    def prediction(self) -> dict[str, Any]:
        """The schema of one prediction."""
        schema: dict[str, Any] = self.schemas["Response"]["properties"]["predictions"]["items"]
        return schema

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


def digest(document: dict[str, Any]) -> str:
    """Return 16 hex digits of the request's and the response's schema, as a model archive's engines.json has them."""
    schemas = document["components"]["schemas"]
    meaning = [_undescribed(schemas[name]) for name in ("Request", "Response")]
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recorded_digest(record: bytes) -> str | None:
    """Return the digest in an engines.json; None for a file without one."""
    try:
        found = json.loads(record)["request_response"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(found)


def _undescribed(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _undescribed(value) for key, value in part.items() if key != "description"}
    return [_undescribed(one) for one in part] if isinstance(part, list) else part
