"""AWS on this machine: moto for the APIs, live SageMaker endpoints on top.

`local-aws up | run -- COMMAND | status | fault | instance-type`, or `with local_aws.start() as aws:`.
"""

from local_aws.start import Running, start

__all__ = ["Running", "start"]
