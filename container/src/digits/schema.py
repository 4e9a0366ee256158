"""The JSON Schema of request and response, in an OpenAPI document.

container/openapi.json is a copy: `cd container/src && python -m digits.schema > ../openapi.json`.
"""

import hashlib
import json
import sys
from typing import Any

from digits.codec import BRIGHTEST, LABELS, MAX_INSTANCES, PIXELS
from serving.handlers import media

_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["instances"],
    "additionalProperties": False,
    "properties": {
        "instances": {
            "description": "Images of 8×8 pixels, row by row.",
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_INSTANCES,
            "items": {
                "type": "array",
                "minItems": PIXELS,
                "maxItems": PIXELS,
                "items": {"type": "number", "minimum": 0, "maximum": BRIGHTEST},
            },
        }
    },
}
RESPONSE: dict[str, Any] = {
    "type": "object",
    "required": ["predictions"],
    "additionalProperties": False,
    "properties": {
        "predictions": {
            "description": "One for each instance, in order.",
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_INSTANCES,
            "items": {
                "type": "object",
                "required": ["label", "probabilities"],
                "additionalProperties": False,
                "properties": {
                    "label": {"type": "integer", "minimum": 0, "maximum": LABELS - 1},
                    "probabilities": {
                        "type": "array",
                        "minItems": LABELS,
                        "maxItems": LABELS,
                        "items": _PROBABILITY,
                    },
                },
            },
        }
    },
}
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


def openapi() -> dict[str, Any]:
    """Return the document, version 3.1: its schemas are JSON Schema of draft 2020-12."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Digits under SageMaker's serving contract", "version": "1"},
        "paths": {
            "/ping": {
                "get": {
                    "summary": "Whether the model is ready",
                    "responses": {
                        "200": {"description": "It is."},
                        "503": {"description": "It is not.", "content": _json("Error")},
                    },
                }
            },
            "/invocations": {
                "post": {
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
            },
        },
        "components": {"schemas": {"Request": REQUEST, "Response": RESPONSE, "Error": ERROR}},
    }


def digest() -> str:
    """Return 16 hex digits of the request's and the response's schema, without descriptions.

    The model archive and the image's label `sagemaker-pytorch-release.request-response` both have it:
    weights fit an image if the two are equal.
    """
    meaning = json.dumps(_undescribed([REQUEST, RESPONSE]), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(meaning.encode()).hexdigest()[:16]


def text() -> str:
    """Return the document as it is committed and published."""
    return json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n"


def _undescribed(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _undescribed(value) for key, value in part.items() if key != "description"}
    return [_undescribed(one) for one in part] if isinstance(part, list) else part


def _json(name: str) -> dict[str, Any]:
    return {media.JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _content(name: str) -> dict[str, Any]:
    """Describe a body: JSON by its schema; README.md describes the other types."""
    return {**_json(name), **{kind: {} for kind in media.ALL if kind != media.JSON}}


if __name__ == "__main__":
    sys.stdout.write(text())
