"""Everything this AWS knows of itself, as JSON: for `status`, for tests, for dashboards (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from local_aws.measurements import Measurements
from local_aws.sagemaker.endpoint import Deployed, Endpoint, Side


def status(
    endpoints: Iterable[Endpoint],
    configs: Iterable[str],
    measurements: Measurements,
    further: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe the endpoints with their fleets, and the requests answered; `further` is added as it is."""
    requests = raw_counts(measurements)
    return {
        "endpoints": [_endpoint(endpoint, requests.get(endpoint.name, {})) for endpoint in endpoints],
        "endpoint_configs": sorted(configs),
        **further,
    }


def raw_counts(measurements: Measurements) -> dict[str, dict[str, dict[str, int]]]:
    """Count requests, unscaled: endpoint, then endpoint config, then the container's status ("200")."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (source, model_status), number in measurements.raw.items():
        by_status = counts.setdefault(source.endpoint, {}).setdefault(source.config, {})
        by_status[str(model_status)] = by_status.get(str(model_status), 0) + number
    return counts


def _endpoint(endpoint: Endpoint, requests: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "status": endpoint.status,
        "config": endpoint.config_name,
        "failure_reason": endpoint.failure_reason,
        "fleets": [fleet for side in endpoint.sides for fleet in _fleets(endpoint, side)],
        "requests": requests,
    }


def _fleets(endpoint: Endpoint, side: Side) -> list[dict[str, Any]]:
    traffic: dict[str, float] = {}
    for variant_route in endpoint.route().variant_routes:
        if variant_route.config == side.config.name:
            traffic[variant_route.variant] = variant_route.weight
    return [
        _fleet(side.config.name, name, deployed, traffic.get(name, 0.0))
        for name, deployed in side.variants.items()
    ]


def _fleet(config: str, variant: str, deployed: Deployed, weight: float) -> dict[str, Any]:
    fleet = deployed.fleet
    return {
        "config": config,
        "variant": variant,
        "weight": weight,
        "instance_type": fleet.variant.instance_type,
        "desired": fleet.desired,
        "current": len(fleet.healthy),
        "stage": deployed.stage.message if deployed.stage else None,
        "trouble": fleet.trouble,
        "instances": [
            {
                "id": member.instance.id if member.instance else None,
                "url": member.instance.url if member.instance else None,
                "healthy": member.upstream is not None,
                "in_flight": member.upstream.in_flight if member.upstream else 0,
                "provision_overrun_seconds": round(member.overrun_seconds, 1),
            }
            for member in fleet.members
        ],
    }


SHOWN_ACTIVITIES = 5
REASON_LENGTH = 100


def table(status: Mapping[str, Any]) -> str:
    """Lay the status out for people: fleets, then alarms, scalable targets and activities where there are some."""
    fleets = [
        _fleet_row(endpoint, fleet)
        for endpoint in status["endpoints"]
        for fleet in endpoint["fleets"] or [{}]
    ]
    alarms = [(a["name"], a["kind"], a["state"], a["reason"][:REASON_LENGTH]) for a in status["alarms"]]
    targets = [_target_row(status, target) for target in status["scalable_targets"]]
    activities = [
        (
            f"{datetime.fromtimestamp(activity['StartTime'], UTC):%H:%M:%S}",
            *(activity[name] for name in ("ResourceId", "StatusCode", "Description", "Cause")),
        )
        for activity in status["scaling_activities"][:SHOWN_ACTIVITIES]
    ]
    blocks = (
        (("ENDPOINT", "STATUS", "CONFIG", "VARIANT", "WEIGHT", "INSTANCES", "NOW"), fleets),
        (("ALARM", "KIND", "STATE", "REASON"), alarms),
        (("SCALABLE TARGET", "LIMITS", "POLICIES", "SCHEDULED ACTIONS", "SUSPENDED"), targets),
        (("SCALED (UTC)", "TARGET", "STATUS", "ACTIVITY", "CAUSE"), activities),
    )
    return "\n\n".join(
        [
            status["instances"]["reason"],
            *(_lay_out([head, *rows]) for head, rows in blocks if rows or rows is fleets),
        ]
    )


def _lay_out(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _fleet_row(endpoint: Mapping[str, Any], fleet: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        endpoint["name"],
        endpoint["status"],
        fleet.get("config", endpoint["config"]),
        fleet.get("variant", "-"),
        f"{fleet.get('weight', 0):g}",
        f"{fleet.get('current', 0)}/{fleet.get('desired', 0)}",
        fleet.get("stage") or endpoint["failure_reason"] or "",
    )


def _target_row(status: Mapping[str, Any], target: Mapping[str, Any]) -> tuple[str, ...]:
    def names(what: str, key: str, *more: str) -> str:
        own = [one for one in status[what] if one["ResourceId"] == target["ResourceId"]]
        return ", ".join(" ".join(one[name] for name in (key, *more)) for one in own) or "-"

    suspended = [name.removesuffix("Suspended") for name, on in target["SuspendedState"].items() if on]
    return (
        target["ResourceId"],
        f"{target['MinCapacity']}-{target['MaxCapacity']}",
        names("scaling_policies", "PolicyName", "PolicyType"),
        names("scheduled_actions", "ScheduledActionName", "Schedule"),
        ", ".join(suspended) or "-",
    )
