"""The progress of a deployment in one line: instances, traffic, alarms, time. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

_BAKING = re.compile(r"Baking for (\d+) seconds")


def progress_line(described: Mapping[str, Any], alarms: Mapping[str, str] | None = None) -> str:
    """Return the progress of a deployment, by its PendingDeploymentSummary. `alarms`: states by name."""
    parts = [str(described["EndpointStatus"])]
    for variant in coming_variants(described):
        counts = f"{variant.get('CurrentInstanceCount', 0)}/{variant.get('DesiredInstanceCount', '?')}"
        parts.append(f"{counts} new instances")
        if (share := traffic_percent(variant)) is not None:
            parts.append(f"{share:.0f} % of the traffic")
        parts += [each.get("StatusMessage") or each["Status"] for each in variant.get("VariantStatus", [])][
            :1
        ]
    if alarms:
        counted = Counter(alarms.values())
        parts.append("alarms: " + ", ".join(f"{count} {state}" for state, count in sorted(counted.items())))
    return " · ".join(parts)


def traffic_percent(variant: Mapping[str, Any]) -> float | None:
    """Return the new fleet's share of the traffic; None while AWS shows no weights."""
    current, desired = variant.get("CurrentWeight"), variant.get("DesiredWeight")
    return 100 * current / desired if current is not None and desired else None


def time_left(described: Mapping[str, Any], now: float, limit_seconds: float, scale: float = 1.0) -> str:
    """Return the time until the bake ends and until SageMaker gives up; empty when nothing is pending.

    `now`: epoch seconds; `limit_seconds`: MaximumExecutionTimeoutInSeconds; `scale`: AWS's seconds in one
    of ours, 1 on AWS.
    """
    pending = described.get("PendingDeploymentSummary") or {}
    parts = []
    for wanted, started in _bakes(described):
        parts.append(f"bake over in {max(0.0, wanted - scale * (now - started)):.0f} s")
    if "StartTime" in pending:
        passed = scale * (now - pending["StartTime"].timestamp())
        parts.append(f"time-out in {max(0.0, limit_seconds - passed):.0f} s")
    return ", ".join(parts)


def _bakes(described: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Yield the length of each bake, in AWS seconds, and its start, in epoch seconds."""
    for variant in coming_variants(described):
        for stage in variant.get("VariantStatus", []):
            found = _BAKING.match(stage.get("StatusMessage") or "")
            if found and "StartTime" in stage:
                yield float(found[1]), stage["StartTime"].timestamp()


def coming_variants(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the variants of the pending deployment; none while nothing is pending."""
    return list((described.get("PendingDeploymentSummary") or {}).get("ProductionVariants", []))
