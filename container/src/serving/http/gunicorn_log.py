"""Gunicorn's own log."""

from typing import Any

from gunicorn import glogging  # type: ignore[import-untyped]

from serving.platform import json_logging


class Log(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's own log, as JSON."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(json_logging.JsonLines())
