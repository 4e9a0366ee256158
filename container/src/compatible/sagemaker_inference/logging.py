"""The toolkit's logger."""

import logging


def get_logger() -> logging.Logger:
    """The logger that programs share with the toolkit; `serve` has given it a place to write to."""
    return logging.getLogger("sagemaker-inference")


def configure_logger() -> None:
    """Does nothing: `serve` sets logging up before it imports a program."""
