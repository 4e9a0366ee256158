"""What gunicorn loads, once, in its master: the model and the application that serves it."""

import os
import sys

import identity
import limits
import model as models
import paths
from predictor import create_app

try:
    model = models.load(paths.model_dir(paths.base_dir()))
    app = create_app(model, identity.from_environ(os.environ), limits.from_environ(os.environ))
except (models.ModelProblem, identity.BadIdentity, limits.BadLimit) as error:
    sys.exit(f"serve: {error}")
