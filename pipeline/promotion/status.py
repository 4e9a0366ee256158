"""The status of every environment: release, fleet, scaling, alarms, and drift from the config."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.autoscaling.plan import Scaling, describe, observe_scaling
from pipeline.deployment.alarms import alarm_prefix, live_prefix
from pipeline.deployment.difference import Change, Live
from pipeline.deployment.observe import observe_live
from pipeline.deployment.progress import progress_line
from pipeline.model import Model
from pipeline.names import release_of
from pipeline.promotion.drift import History, Seen, drift_of, foreign_config, short_name
from pipeline.promotion.rollback_target import why_failed
from pipeline.release import Release
from pipeline.release_store.manifests import fetch_release
from pipeline.run import Run
from pipeline.state.audit import AuditLine, audit_prefix
from pipeline.state.lock import read_lock
from pipeline.state.records import last_deployment
from pipeline.verification.stored_evidence import find_capacity

if TYPE_CHECKING:
    from rich.console import Console


SCALING_STEPS = ("-autoscale", "-promote")  # ends of the keys of their audit lines
MOST_LINES = 20


class EnvironmentStatus(Model):
    """The status of one environment. None: there is no such thing."""

    environment: str
    endpoint: str
    status: str
    release: str | None = None
    unchecked: bool = False  # the release has no golden requests
    failed: str | None = None  # why the live release counts as bad here; None: nothing speaks against it
    notes: tuple[str, ...] = ()  # what every report of the release must say
    config: str | None = None
    live_since: float | None = None  # epoch seconds
    by: str | None = None  # the person who deployed it
    changing: str | None = None  # the run that holds the lock
    instances: int | None = None
    instances_desired: int | None = None
    min_instances: int | None = None
    max_instances: int | None = None
    target: float | None = None  # invocations per instance and minute
    policies: tuple[str, ...] = ()  # what each scaling policy holds
    alarms: dict[str, str] = Field(default_factory=dict)  # name → state
    run_url: str | None = None  # of the run that published the live release
    deployed_by_run: str | None = None  # of the GitHub run that deployed it
    drift: tuple[Change, ...] | None = None  # None: the release's manifest is gone, so it is not known


class Overview(Model):
    """All environments of one account."""

    environments: tuple[EnvironmentStatus, ...]


def environment_status(run: Run) -> EnvironmentStatus:
    """Read the status of one environment from AWS."""
    described = run.aws.describe_endpoint(run.env.endpoint.name)
    lock = read_lock(run)
    changing = str(lock.info) if lock else None
    if described is None:
        return EnvironmentStatus(
            environment=run.env.name, endpoint=run.env.endpoint.name, status="not there", changing=changing
        )
    scaling = observe_scaling(run)
    bounds = scaling.target or {}
    config = described["EndpointConfigName"]
    last = last_deployment(run.aws, run.env.name)
    record = last if last and last.config == config else None
    release = release_of(config)
    manifest = fetch_release(release, run.aws) if release else None
    alarms = [
        alarm
        for prefix in (f"{alarm_prefix(run.env)}{config}/", live_prefix(run.env))
        for alarm in run.aws.alarms(prefix=prefix)
    ]
    variants = described.get("ProductionVariants", [])
    return EnvironmentStatus(
        environment=run.env.name,
        endpoint=run.env.endpoint.name,
        status=progress_line(described),
        release=release,
        failed=why_failed(release, run) if release else None,
        unchecked=manifest is not None and manifest.unchecked,
        notes=manifest.notes if manifest else (),
        config=config,
        live_since=record.in_service_at if record else None,
        by=record.by if record else None,
        changing=changing,
        instances=sum(each.get("CurrentInstanceCount", 0) for each in variants),
        instances_desired=sum(each.get("DesiredInstanceCount", 0) for each in variants),
        min_instances=bounds.get("MinCapacity"),
        max_instances=bounds.get("MaxCapacity"),
        policies=tuple(describe(each) for each in scaling.policies.values()),
        target=scaling.target_of("invocations"),
        alarms={short_name(alarm["AlarmName"], run.env): alarm["StateValue"] for alarm in alarms},
        run_url=record.run_url if record else None,
        deployed_by_run=record.deployed_by_run if record else None,
        drift=_drift(run, manifest, scaling, alarms) if manifest else foreign_config(config, release),
    )


def _drift(
    run: Run, manifest: Release, scaling: Scaling, alarms: Sequence[Mapping[str, Any]]
) -> tuple[Change, ...]:
    live = observe_live(run)
    made_at = live.endpoint["CreationTime"].timestamp() if live.endpoint else 0.0
    history = History(
        was_scaled=_was_scaled(run, since=made_at), is_measured=find_capacity(manifest.id, run) is not None
    )
    return drift_of(run.env, manifest, Seen(live, scaling, alarms, _tags_of(live, run)), history)


def _was_scaled(run: Run, *, since: float) -> bool:
    """Say whether a step has put scaling in force since then, epoch seconds, by the newest audit lines."""
    prefix = audit_prefix(run.env.name)
    newest = [key for key in run.aws.keys(prefix) if key.removesuffix(".json").endswith(SCALING_STEPS)][
        -MOST_LINES:
    ]
    at_least = f"{prefix}{round(since * 1000):015d}"
    lines = (AuditLine.model_validate(run.aws.get_json(key)) for key in newest if key >= at_least)
    return any(line.outcome == "succeeded" for line in lines)


def _tags_of(live: Live, run: Run) -> dict[str, dict[str, str]]:
    arns = {
        "endpoint": live.endpoint.get("EndpointArn"),
        "endpoint config": live.config.get("EndpointConfigArn"),
        "model": live.model.get("ModelArn"),
    }
    return {
        what: {
            tag["Key"]: tag["Value"]
            for tag in run.aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
        }
        for what, arn in arns.items()
        if arn is not None
    }


def show(statuses: Sequence[EnvironmentStatus], console: "Console") -> None:
    """Print one row for each environment."""
    from rich.table import Table  # rich takes a tenth of a second to import

    table = Table(title="what is live", title_justify="left")
    for heading in (
        "environment",
        "endpoint",
        "status",
        "release",
        "live since",
        "by",
        "instances",
        "scaling",
        "alarms",
        "drift",
    ):
        table.add_column(heading, overflow="fold")
    for each in statuses:
        table.add_row(
            each.environment,
            each.endpoint,
            each.status if each.changing is None else f"{each.status}\nlocked by {each.changing}",
            "\n".join([each.release or "–", *_failed(each), *each.notes]),
            _time(each.live_since),
            each.by or "–",
            "–" if each.instances is None else f"{each.instances} of {each.instances_desired}",
            _scaling(each),
            _alarms(each),
            _drift_lines(each),
        )
    console.print(table)


def _failed(status: EnvironmentStatus) -> tuple[str, ...]:
    from rich.markup import escape

    return () if status.failed is None else (f"[red]{escape(status.failed)}[/]",)


def _time(at: float | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _scaling(status: EnvironmentStatus) -> str:
    if status.min_instances is None:
        return "none"
    bounds = f"{status.min_instances} to {status.max_instances}"
    if not status.policies:
        return f"{bounds}, no policy"
    return f"{bounds} at {', '.join(status.policies)}"


def _alarms(status: EnvironmentStatus) -> str:
    loud = [name for name, state in status.alarms.items() if state == "ALARM"]
    if loud:
        return f"[red]ALARM: {', '.join(loud)}[/]"
    return f"{len(status.alarms)} quiet" if status.alarms else "none"


def _drift_lines(status: EnvironmentStatus) -> str:
    if status.drift is None:
        return "–" if status.config is None else "unknown"
    lines = (f"{each.setting}: {each.live or 'none'}, not {each.coming or 'set'}" for each in status.drift)
    return "\n".join(lines) or "none"
