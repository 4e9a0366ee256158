"""The status and the body of a refused request."""

import json

from werkzeug.exceptions import HTTPException

from serving.handlers.errors import BadRequest, HandlerFailed


def error_body(sentence: str) -> bytes:
    """Return the JSON body of every answer that is not a success."""
    return json.dumps({"error": sentence}).encode()


def status_of(error: Exception) -> int:
    """Return the HTTP status for an exception raised by a step."""
    if isinstance(error, BadRequest | HandlerFailed):
        return error.status
    return (error.code or 500) if isinstance(error, HTTPException) else 500
