"""Run the command line: `python -m local_aws up | run -- COMMAND… | status [--json | --watch] | fault … | instance-type`."""

import sys

from local_aws.cli import main

sys.exit(main())
