"""The scaling timeline by policy: `python -m benchmarks.scaling RUN` measures one, `… table` prints all.

Runs: `high_resolution` and `standard` with metrics without delay, and `late`, the standard policy with metrics that
are 120 AWS seconds late, as on AWS. An AWS second takes a sixth of a second; an instance takes 60 AWS seconds to start.
The surge exceeds what the fleet can serve, so p95 breaks its limit until more instances serve. A run exits with 1 when
p95 recovered too late. The first run measures the capacity and keeps it in the folder.
"""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.autoscaling.policies import policies_of, resource
from pipeline.aws.calls import Call
from pipeline.config import Environment
from pipeline.deployment.deploy import deploy
from pipeline.gates import Gate
from pipeline.publishing.publish import publish
from pipeline.release_store.golden import fetch_golden
from pipeline.run import Run
from pipeline.verification.capacity import Capacity
from pipeline.verification.capacity_endpoint import capacity_endpoint
from pipeline.verification.measure import Bench, measure_capacity
from pipeline.verification.scaling import ScalingPlan, plan_scaling
from pipeline.verification.scaling_gates import ScalingLimits, judge_scaling
from pipeline.verification.scaling_timeline import ScalingTimeline, make_timeline, table_of
from pipeline.verification.sizing import target_concurrency, target_per_minute
from pipeline.verification.under_load import read_scaling_events, run_under_load, scaling_run, wait_for_rest

ROOT = Path(__file__).parents[1]
TIME_SCALE, PROVISION_SECONDS = 6.0, 60.0
CPU_SCALE = 0.02  # low, so that the instances saturate before the router and the generator do
STEP_SECONDS = 12  # of the capacity search: CPUUtilization has one value an AWS minute, which lasts 10 s here
OVERLOAD = 1.25  # times the rate at which the fleet of two keeps the SLO; at 1.1 it hardly breaks it


@dataclass(frozen=True)
class Case:
    """One policy under one delay of metrics (AWS s). `limit`: AWS seconds in which p95 must recover."""

    name: str
    is_high_resolution: bool
    metric_delay: float
    limit: float | None


RUNS = {
    case.name: case
    for case in (
        Case("high_resolution", is_high_resolution=True, metric_delay=0, limit=120),
        Case("standard", is_high_resolution=False, metric_delay=0, limit=300),
        Case("late", is_high_resolution=False, metric_delay=120, limit=None),
    )
}


def environment() -> Environment:
    """Return the staging environment, with limits in real seconds that the slowest run can keep."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())
    document["endpoint"] |= {"name": "scaled"}
    document["limits"] |= {"scale_out_seconds": 150, "scale_in_seconds": 330}
    document["load"]["quick"] |= {"overload": OVERLOAD, "steady_seconds": 20}
    document["load"]["quick"] |= {"step_seconds": STEP_SECONDS, "first_rps": 150, "growth": 1.4}
    return Environment.model_validate(document)


def measure(case: Case, build: Path, instances: str) -> tuple[ScalingTimeline, tuple[Gate, ...]]:
    """Deploy an endpoint, put the policy in force, overload it, and return the timeline and the gates."""
    env = environment()
    settings: dict[str, object] = {"time_scale": TIME_SCALE, "cpu_scale": CPU_SCALE}
    settings |= {"provision_seconds": PROVISION_SECONDS, "instances": instances}
    with local_aws.start(**settings, metric_delay_seconds=case.metric_delay) as running:
        os.environ.update(running.environ)
        run = Run.for_environment(env, build)
        bootstrap(run)
        release = publish(run, engine=instances != "process")
        deploy(release, run)
        bench = Bench(build / "load", fetch_golden(release, run), env.load.quick)
        kept = build / "capacity.json"
        if not kept.is_file():
            with capacity_endpoint(release, run) as endpoint:
                measure_capacity(release, endpoint, run, bench)[0].save(kept)
        capacity = Capacity.model_validate_json(kept.read_text())
        plan = _put_policy(case, run, capacity)
        assert wait_for_rest(run, env.autoscaling.min_instances), "the fleet did not come to rest"
        out = build / f"{case.name}-load.json"
        result, samples = run_under_load(run, bench, plan, out)
        surge = result.phase("surge")
        assert surge is not None, "the plan has a surge"
        events = read_scaling_events(run, surge.started)
        found = scaling_run(
            result, samples, env.autoscaling.min_instances,
            events=events, p95_ms=env.limits.p99_ms, is_overload=True,
        )  # fmt: skip
        assert found is not None, "the load rose"
        recovery_limit = None if case.limit is None else case.limit / TIME_SCALE
        limits = ScalingLimits(env.limits.scale_out_seconds, env.limits.scale_in_seconds, recovery_limit)
        gates = judge_scaling(found, limits)
        return make_timeline(found, result, events, policy=plan.policy, scale=TIME_SCALE), gates


def _put_policy(case: Case, run: Run, capacity: Capacity) -> ScalingPlan:
    """Put the case's policy in force, and derive the rates of the load."""
    env = run.env
    rate, safety = capacity.requests_per_second, env.autoscaling.safety_factor
    assert rate is not None, capacity.reason
    bounds = {"MinCapacity": env.autoscaling.min_instances, "MaxCapacity": env.autoscaling.max_instances}
    says = "register the fleet for scaling"
    run.aws.apply(
        Call("application-autoscaling", "register_scalable_target", {**resource(env), **bounds}, says)
    )
    target, words = target_per_minute(rate, safety), "invocations per instance and minute, seen every 60 s"
    wanted: dict[str, Any] = {"target": None}
    if case.is_high_resolution:
        concurrency = target_concurrency(capacity.steps, rate, safety)
        assert concurrency is not None, "CloudWatch had no ConcurrentRequestsPerModel"
        target, words = concurrency, "requests under way on an instance, seen every 10 s"
        wanted["concurrency_target"] = concurrency
    env = env.model_copy(update={"autoscaling": env.autoscaling.model_copy(update=wanted)})
    (policy,) = policies_of(env, None if case.is_high_resolution else target)
    run.aws.apply(Call("application-autoscaling", "put_scaling_policy", policy, f"hold {target:g} {words}"))
    plan = plan_scaling(
        capacity_rps=rate,
        target_rps=rate * safety,
        instances=env.autoscaling.min_instances,
        maximum=env.autoscaling.max_instances,
        overload=OVERLOAD,
    )
    delay = f", metrics {case.metric_delay:g} AWS s late" if case.metric_delay else ""
    return replace(plan, policy=f"{target:g} {words}{delay}")


def markdown(build: Path) -> str:
    """Return the timelines of all runs side by side, in AWS seconds and in seconds of this machine."""
    kept = [
        (name, json.loads(path.read_text())) for name in RUNS if (path := build / f"{name}.json").is_file()
    ]
    phases = list(dict.fromkeys(row["phase"] for _, found in kept for row in found["timeline"]["rows"]))
    lines = ["| phase | kind | " + " | ".join(name.replace("_", " ") for name, _ in kept) + " |"]
    lines.append("|---|---|" + "---:|" * len(kept))
    for phase in phases:
        rows = [next(row for row in found["timeline"]["rows"] if row["phase"] == phase) for _, found in kept]
        lines.append(f"| {phase} | {rows[0]['kind']} | " + " | ".join(_cell(row) for row in rows) + " |")
    titles = ("recovery", "flapping", "lost while scaling")
    lines += [
        f"| **{title}** | gate | " + " | ".join(_gate(found, title) for _, found in kept) + " |"
        for title in titles
    ]
    policies = [f"- {name.replace('_', ' ')}: {found['timeline']['policy']}" for name, found in kept]
    return "\n".join([*lines, "", *policies])


def _cell(row: dict[str, Any]) -> str:
    if row["seconds"] is None:
        return "–" if row["kind"] == "not observable" else "not seen"
    return f"{row['aws_seconds']:.0f} ({row['seconds']:.1f} s)"


def _gate(found: dict[str, Any], title: str) -> str:
    gate = next((each for each in found["gates"] if each["name"] == title), None)
    if gate is None:
        return "no limit"
    if gate["metric"] != "recovery_seconds" or gate["measured"] is None:
        return f"{gate['verdict']}: {gate['measured'] if gate['measured'] is not None else gate['reason']}"
    return f"{gate['verdict']}: {gate['measured'] * TIME_SCALE:.0f} of {gate['limit'] * TIME_SCALE:.0f} AWS s"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one run, or print the table of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=[*RUNS, "table"])
    parser.add_argument("--build", type=Path, default=Path("build/scaling"), help="folder (build/scaling)")
    parser.add_argument("--instances", choices=["process", "docker"], default="process")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.run == "table":
        print(markdown(args.build))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # the generator ends with it
    args.build.mkdir(parents=True, exist_ok=True)
    started = time.time()
    found, gates = measure(RUNS[args.run], args.build, args.instances)
    document = {"timeline": found.document(), "gates": [gate.document() for gate in gates]}
    (args.build / f"{args.run}.json").write_text(json.dumps(document, indent=2))
    for line in [
        *table_of(found),
        *(f"{gate.name}: {gate.verdict.upper()}, {gate.reason}" for gate in gates),
    ]:
        print(line)
    print(f"took {time.time() - started:.0f} s")
    recovery = next((gate for gate in gates if gate.name == "recovery"), None)
    return int(recovery is not None and recovery.verdict != "passed")


if __name__ == "__main__":
    sys.exit(main())
