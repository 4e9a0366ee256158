"""`python -m pipeline STEP --env NAME`."""

import sys

from pipeline.cli import main

sys.exit(main())
