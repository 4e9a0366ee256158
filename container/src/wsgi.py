"""The WSGI application. Gunicorn loads it once, in its master; the workers share what it loads."""

import os
import sys

from digits.project import DIGITS
from predictor import create_app
from serving.handlers import loading
from serving.handlers.errors import CannotLoad
from serving.platform import identity, limits, paths

try:
    model_dir = paths.model_dir(paths.base_dir())
    handler = loading.load(model_dir, os.environ, DIGITS)
    app = create_app(
        handler,
        identity.from_environ(os.environ),
        limits.from_environ(os.environ),
        cases=loading.read_golden(model_dir, os.environ),
    )
except (CannotLoad, identity.BadIdentity, limits.BadLimit) as error:
    sys.exit(f"serve: {error}")
