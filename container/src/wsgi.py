"""The WSGI application. Gunicorn loads it once, in its master; the workers share what it loads."""

import os
import sys
from pathlib import Path

from digits.project import DIGITS
from serving.handlers import loading
from serving.handlers.errors import CannotLoad
from serving.platform import applications, identity, limits, paths

predictor = applications.load(Path(__file__).with_name("predictor.py"))

try:
    handler = loading.load(paths.model_dir(paths.base_dir()), os.environ, DIGITS)
    app = predictor.create_app(handler, identity.from_environ(os.environ), limits.from_environ(os.environ))
except (CannotLoad, identity.BadIdentity, limits.BadLimit) as error:
    sys.exit(f"serve: {error}")
