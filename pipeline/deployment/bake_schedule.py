"""The part of a bake in which both fleets serve: when it begins, how long it is, how much of it is over. Pure."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.strategy import Deployment
from pipeline.deployment.progress import coming_variants, traffic_percent

VETO_SECONDS = 60.0  # AWS's: until the alarm on a veto has fired and SageMaker has seen it
LEAST_PART = 0.5  # of a bake too short for that
SERVING = frozenset({"ActivatingTraffic", "Baking"})


def comparison_seconds(deployment: Deployment, instances: int) -> float:
    """Return how long both fleets of this size are compared, in AWS's seconds: until a veto can still be heard.

    0: they never serve side by side.
    """
    seconds = float(deployment.shared_seconds(instances))
    return max(seconds - VETO_SECONDS, LEAST_PART * seconds)


def candidate_share(described: Mapping[str, Any]) -> float | None:
    """Return the new fleet's share of the traffic, 0 to 1, by the endpoint's description; None: it has none yet."""
    for variant in coming_variants(described):
        percent = traffic_percent(variant) or 0.0
        is_serving = any(stage.get("Status") in SERVING for stage in variant.get("VariantStatus", []))
        if is_serving or 0 < percent < 100:
            return percent / 100
    return None


def elapsed_before(described: Mapping[str, Any], now: float, seconds: float) -> float:
    """Return the most of a comparison, 0 to 1, that may be over already, for a run that takes it over.

    `now`: epoch seconds. `seconds`: of the whole comparison, in this machine's seconds. Counted from the beginning of
    the deployment, launches included, since a later bake hides when the first one began.
    """
    started = (described.get("PendingDeploymentSummary") or {}).get("StartTime")
    if started is None or seconds <= 0:
        return 1.0
    waited: float = now - started.timestamp()
    return min(max(waited, 0.0) / seconds, 1.0)
