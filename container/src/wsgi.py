"""What gunicorn loads, once, in its master: the model and the application that serves it."""

import os
import sys

import identity
import limits
import loading
import paths
from predictor import create_app
from user_program import CannotLoad

try:
    handler = loading.load(paths.model_dir(paths.base_dir()), os.environ)
    app = create_app(handler, identity.from_environ(os.environ), limits.from_environ(os.environ))
except (CannotLoad, identity.BadIdentity, limits.BadLimit) as error:
    sys.exit(f"serve: {error}")
