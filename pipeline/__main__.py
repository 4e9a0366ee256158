"""`python -m pipeline STEP --env NAME`."""

import signal
import sys

from pipeline.commands.cli import main

# As Ctrl-C does, so that what a step has started (a load test, an endpoint to measure on) goes with it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
sys.exit(main())
