"""What a caller may send and will get, for the project's own model, as JSON Schema within OpenAPI.

`python container/src/schema.py` prints the document; the copy in container/openapi.json is that.
"""

import hashlib
import json
import sys
from typing import Any

from serving.handlers import media

from digits.codec import BRIGHTEST, LABELS, MAX_INSTANCES, PIXELS

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
    """The whole document, version 3.1: its schemas are JSON Schema of draft 2020-12."""
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
    """16 hex digits that change when what is taken or given does, and not when it is described otherwise.

    The model archive and the image's label `sagemaker-pytorch-release.request-response` both have it:
    weights and image belong together where they are the same.
    """
    meaning = json.dumps(_undescribed([REQUEST, RESPONSE]), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(meaning.encode()).hexdigest()[:16]


def text() -> str:
    """The document as it is committed and published."""
    return json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n"


def _undescribed(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _undescribed(value) for key, value in part.items() if key != "description"}
    return [_undescribed(one) for one in part] if isinstance(part, list) else part


def _json(name: str) -> dict[str, Any]:
    return {media.JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _content(name: str) -> dict[str, Any]:
    """JSON by its schema; the other types are described in words, in README.md."""
    return {**_json(name), **{kind: {} for kind in media.ALL if kind != media.JSON}}


if __name__ == "__main__":
    sys.stdout.write(text())
