"""Python's logging as JSON, an object a line."""

import json
import logging
import traceback
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """What Python's logging has to say, in the same form; a traceback is one more field."""

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": timestamp(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(content)


def write_python_logging(level: int) -> None:
    """What Python's logging has to say from `level` on goes to the error output, in the log's form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler])


def timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
