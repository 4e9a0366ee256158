"""CloudWatch with a metric store and evaluated alarms of its own; moto parses the protocols.

`install(store, clock)` before moto answers its first request; then `Alarms.tick()` several times per period.
"""

from typing import Any

from moto.cloudwatch import urls
from moto.cloudwatch.models import cloudwatch_backends

from local_aws.clock import Clock
from local_aws.cloudwatch.alarms import Alarms
from local_aws.cloudwatch.backend import StoreBackend
from local_aws.cloudwatch.responses import StoreResponse
from local_aws.cloudwatch.store import MetricStore
from local_aws.settings import ACCOUNT_ID, REGION

__all__ = ["Alarms", "MetricStore", "install"]


def install(store: MetricStore, clock: Clock) -> Alarms:
    """Install `store` in moto's CloudWatch in this process; other accounts and regions get stores of their own.

    Must come before the first request: moto makes one backend per account and region and keeps it.
    """

    def backend(region_name: str, account_id: str) -> StoreBackend:
        own = (account_id, region_name) == (ACCOUNT_ID, REGION)
        return StoreBackend(region_name, account_id, store if own else MetricStore(clock))

    seam: Any = cloudwatch_backends
    seam.backend = backend
    seam.clear()
    urls.url_paths["{0}/$"] = StoreResponse.dispatch
    return Alarms()
