"""Set up the judge of a deployment: which two fleets it compares, and where it reads everybody's requests."""

import os

from pipeline.aws.clock import time_scale
from pipeline.deployment.bake_judge import BakeJudge
from pipeline.deployment.fleet_counts import FleetCounts
from pipeline.deployment.plan import Observed, Plan
from pipeline.names import release_of
from pipeline.release import Release
from pipeline.run import Run


def judge_for(release: Release, run: Run, plan: Plan, observed: Observed) -> BakeJudge | None:
    """Return the judge of a deployment in which two fleets serve side by side; None: in this one they do not."""
    old, env = observed.live_config, run.env
    moves = plan.is_resumed or (plan.shift is not None and plan.shift.operation == "update_endpoint")
    if old is None or old == plan.config or not moves or not env.deployment.parts_the_fleet:
        return None
    counts = FleetCounts(run.aws, env.endpoint.name, env.endpoint.variant, plan.config, old)
    return BakeJudge(
        deployment=env.deployment,
        margin_percent=env.limits.slower_percent,
        candidate=release.id,
        baseline=release_of(old),
        count=counts.between,
        clock=run.clock,
        scale=time_scale(os.environ) or 1.0,
        is_resumed=plan.is_resumed,
    )
