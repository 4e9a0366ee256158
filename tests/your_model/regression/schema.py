"""The JSON Schema of request and response.

container/openapi.json is a copy: `cd container/src && python -m digits.schema > ../openapi.json`.
"""

import sys
from typing import Any

from digits.codec import FEATURES, MAX_INSTANCES
from serving.handlers.interface import Interface

_ROW = {"type": "array", "minItems": FEATURES, "maxItems": FEATURES, "items": {"type": "number"}}
REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["instances"],
    "properties": {"instances": {"type": "array", "minItems": 1, "maxItems": MAX_INSTANCES, "items": _ROW}},
}
RESPONSE: dict[str, Any] = {
    "type": "object",
    "required": ["predictions"],
    "properties": {"predictions": {"type": "array", "items": {"type": "number"}}},
}
INTERFACE = Interface("A regression under SageMaker's serving contract", REQUEST, RESPONSE)

if __name__ == "__main__":
    sys.stdout.write(INTERFACE.text())
