"""Everything this AWS knows of itself, as JSON: for `status`, for tests, for dashboards (pure)."""

from collections.abc import Iterable, Mapping
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
    for (served, model_status), number in measurements.raw.items():
        by_status = counts.setdefault(served.endpoint, {}).setdefault(served.config, {})
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
    for lane in endpoint.route().lanes:
        if lane.config == side.config.name:
            traffic[lane.variant] = lane.weight
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
            }
            for member in fleet.members
        ],
    }


def table(status: Mapping[str, Any]) -> str:
    """Lay the status out for people: one line per fleet."""
    head = ("ENDPOINT", "STATUS", "CONFIG", "VARIANT", "WEIGHT", "INSTANCES", "NOW")
    rows = [
        head,
        *(_row(endpoint, fleet) for endpoint in status["endpoints"] for fleet in endpoint["fleets"] or [{}]),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([status["instances"]["reason"], "", *lines])


def _row(endpoint: Mapping[str, Any], fleet: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        endpoint["name"],
        endpoint["status"],
        fleet.get("config", endpoint["config"]),
        fleet.get("variant", "-"),
        f"{fleet.get('weight', 0):g}",
        f"{fleet.get('current', 0)}/{fleet.get('desired', 0)}",
        fleet.get("stage") or endpoint["failure_reason"] or "",
    )
