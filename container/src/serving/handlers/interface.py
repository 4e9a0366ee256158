"""The interface of a project's model: JSON Schemas of request and response, in an OpenAPI document."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.handlers import media

ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {"error": {"description": "Where, what was expected, what came.", "type": "string"}},
}
_REFUSALS = {
    "400": "The body is not as the schema has it.",
    "406": "None of the types in Accept can be given.",
    "413": "The body is too large.",
    "415": "The Content-Type is not understood.",
    "500": "The model failed.",
}


@dataclass(frozen=True)
class Interface:
    """The JSON Schemas, of draft 2020-12, of a request and of its answer."""

    title: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """16 hex digits of both schemas, without descriptions.

        The model archive and the image's label `sagemaker-pytorch-release.request-response` both have it:
        weights fit an image if the two are equal.
        """
        meaning = json.dumps(
            _undescribed([self.request, self.response]), sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]

    def text(self) -> str:
        """Return the OpenAPI document as it is committed and published."""
        return json.dumps(self.openapi(), indent=1, ensure_ascii=False) + "\n"

    def openapi(self) -> dict[str, Any]:
        """Return the document, version 3.1: its schemas are JSON Schema of draft 2020-12."""
        invocation = {
            "summary": "Predict",
            "requestBody": {"required": True, "content": _content("Request")},
            "responses": {
                "200": {"description": "The predictions.", "content": _content("Response")},
                **{
                    status: {"description": text, "content": _json("Error")}
                    for status, text in _REFUSALS.items()
                },
            },
        }
        ping = {
            "summary": "Whether the model is ready",
            "responses": {
                "200": {"description": "It is."},
                "503": {"description": "It is not.", "content": _json("Error")},
            },
        }
        return {
            "openapi": "3.1.0",
            "info": {"title": self.title, "version": "1"},
            "paths": {"/ping": {"get": ping}, "/invocations": {"post": invocation}},
            "components": {"schemas": {"Request": self.request, "Response": self.response, "Error": ERROR}},
        }


def _undescribed(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _undescribed(value) for key, value in part.items() if key != "description"}
    return [_undescribed(one) for one in part] if isinstance(part, list) else part


def _json(name: str) -> dict[str, Any]:
    return {media.JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _content(name: str) -> dict[str, Any]:
    """Describe a body: JSON by its schema; README.md describes the other types."""
    return {**_json(name), **{kind: {} for kind in media.ALL if kind != media.JSON}}
