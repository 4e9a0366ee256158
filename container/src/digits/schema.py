"""The JSON Schema of request and response.

container/openapi.json is a copy: `cd container/src && python -m digits.schema > ../openapi.json`.
"""

import sys
from typing import Any

from digits.codec import BRIGHTEST, LABELS, MAX_INSTANCES, PIXELS
from serving.handlers.interface import Interface

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
INTERFACE = Interface("Digits under SageMaker's serving contract", REQUEST, RESPONSE)

if __name__ == "__main__":
    sys.stdout.write(INTERFACE.text())
