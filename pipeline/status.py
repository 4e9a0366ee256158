"""What is live where: release, fleet, scaling, alarms."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import Field
from rich.console import Console
from rich.table import Table

from pipeline.alarms import alarm_prefix
from pipeline.autoscale import observe_scaling
from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.live import progress_line
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.records import last_deployment


class Standing(Model):
    """How one environment stands. None: there is no such thing."""

    environment: str
    endpoint: str
    status: str
    release: str | None = None
    config: str | None = None
    live_since: float | None = None  # epoch seconds
    instances: int | None = None
    instances_desired: int | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    target: float | None = None  # invocations per instance and minute
    alarms: dict[str, str] = Field(default_factory=dict)  # name → state


class Overview(Model):
    """All environments of one account."""

    environments: tuple[Standing, ...]


def standing_of(env: Environment, aws: Aws) -> Standing:
    """Ask AWS how one environment stands."""
    described = aws.describe_endpoint(env.endpoint.name)
    if described is None:
        return Standing(environment=env.name, endpoint=env.endpoint.name, status="not there")
    scaling = observe_scaling(env, aws)
    bounds, policy = scaling.target or {}, scaling.policy or {}
    config = described["EndpointConfigName"]
    record = last_deployment(aws, env.name)
    variants = described.get("ProductionVariants", [])
    return Standing(
        environment=env.name,
        endpoint=env.endpoint.name,
        status=progress_line(described),
        release=release_of(config),
        config=config,
        live_since=record.in_service_at if record and record.config == config else None,
        instances=sum(each.get("CurrentInstanceCount", 0) for each in variants),
        instances_desired=sum(each.get("DesiredInstanceCount", 0) for each in variants),
        min_instances=bounds.get("MinCapacity"),
        max_instances=bounds.get("MaxCapacity"),
        target=policy.get("TargetTrackingScalingPolicyConfiguration", {}).get("TargetValue"),
        alarms={
            alarm["AlarmName"].rpartition("/")[2]: alarm["StateValue"]
            for alarm in aws.alarms(prefix=f"{alarm_prefix(env)}{config}/")
        },
    )


def show(standings: Sequence[Standing], console: Console) -> None:
    """Print one row for each environment."""
    table = Table(title="what is live", title_justify="left")
    for heading in (
        "environment",
        "endpoint",
        "status",
        "release",
        "live since",
        "instances",
        "scaling",
        "alarms",
    ):
        table.add_column(heading, overflow="fold")
    for each in standings:
        table.add_row(
            each.environment,
            each.endpoint,
            each.status,
            each.release or "–",
            _time(each.live_since),
            "–" if each.instances is None else f"{each.instances} of {each.instances_desired}",
            _scaling(each),
            _alarms(each),
        )
    console.print(table)


def _time(at: float | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _scaling(standing: Standing) -> str:
    if standing.min_instances is None:
        return "none"
    bounds = f"{standing.min_instances} to {standing.max_instances}"
    return (
        f"{bounds}, no policy" if standing.target is None else f"{bounds} at {standing.target:,.0f}/min each"
    )


def _alarms(standing: Standing) -> str:
    loud = [name for name, state in standing.alarms.items() if state == "ALARM"]
    if loud:
        return f"[red]ALARM: {', '.join(loud)}[/]"
    return f"{len(standing.alarms)} quiet" if standing.alarms else "none"
