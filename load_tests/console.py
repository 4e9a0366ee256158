"""The load tests' log: plain lines on standard output.

The pipeline starts Locust with its output in a file, and reads the lines that begin with "phase " from it, so these
lines carry no timestamp or level.
"""

import logging
import sys


def log_to_stdout() -> None:
    """Send what the modules of `load_tests` log to standard output, each message as it stands."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("load_tests")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
