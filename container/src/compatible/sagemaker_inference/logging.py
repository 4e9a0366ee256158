"""The toolkit's logger."""

import logging


def get_logger() -> logging.Logger:
    """Return the logger that programs share with the toolkit; `serve` has configured its output."""
    return logging.getLogger("sagemaker-inference")


def configure_logger() -> None:
    """Do nothing: `serve` configures logging before it imports a program."""
