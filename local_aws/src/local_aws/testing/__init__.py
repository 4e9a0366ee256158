"""Small parts for tests that use this AWS: a contract server to deploy, a bounded wait, GitHub's OIDC issuer.

`CONTRACT_SERVER` is a value for `process_command`: a model server that starts in 0.1 s and does what its
environment says. `local_aws.testing.github_issuer` has the issuer. `local_aws.testing.privileged_skips` is a pytest
plugin that lists the tests which were skipped for want of root.
"""

import sys
from pathlib import Path

from local_aws.testing.waiting import wait_until, wait_until_async

__all__ = ["CONTRACT_SERVER", "wait_until", "wait_until_async"]

CONTRACT_SERVER = (sys.executable, "-S", str(Path(__file__).with_name("contract_server.py")))
