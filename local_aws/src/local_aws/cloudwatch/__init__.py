"""CloudWatch with a metric store and evaluated alarms of its own; moto parses the protocols.

`install(make_store)` before moto answers its first request; then `Alarms.tick()` several times per period.
"""

from collections.abc import Callable
from typing import Any

from moto.cloudwatch import urls
from moto.cloudwatch.models import cloudwatch_backends

from local_aws.cloudwatch.alarms import Alarms
from local_aws.cloudwatch.backend import StoreBackend
from local_aws.cloudwatch.responses import StoreResponse
from local_aws.cloudwatch.store import MetricStore
from local_aws.places import Place

__all__ = ["Alarms", "MetricStore", "install"]


def install(make_store: Callable[[Place], MetricStore]) -> None:
    """Install a store for each account and Region in moto's CloudWatch in this process.

    Must come before the first request: moto makes one backend per account and region and keeps it.
    """

    def backend(region_name: str, account_id: str) -> StoreBackend:
        return StoreBackend(region_name, account_id, make_store(Place(account_id, region_name)))

    seam: Any = cloudwatch_backends
    seam.backend = backend
    seam.clear()
    urls.url_paths["{0}/$"] = StoreResponse.dispatch
