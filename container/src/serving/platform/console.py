"""Log lines for people: what `serve`, `train` and the export of engines report on stdout."""

import logging
import sys


def log_to_stdout(prefix: str = "") -> None:
    """Print the log records of this project's packages, each after `prefix`.

    Other packages' records keep Python's default: warnings go to stderr.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(f"{prefix}%(message)s"))
    for package in ("serving", "digits"):
        logger = logging.getLogger(package)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
