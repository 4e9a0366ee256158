"""Compare the candidate with the release in the next environment: same load, same seconds, alternating requests."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.aws.calls import Call
from pipeline.config import BASELINE_SUFFIX, Environment
from pipeline.deployment.plan import config_parameters
from pipeline.gates import Verdict
from pipeline.names import content_name, release_of
from pipeline.release import Release
from pipeline.run import Run
from pipeline.verification.capacity_endpoint import one_instance_endpoint
from pipeline.verification.load import LoadResult, Phase, run_load
from pipeline.verification.measure import Bench
from pipeline.verification.regression import ENOUGH, LOOKS, WARM_UP, Regression, judge_regression

log = logging.getLogger(__name__)

SLICES = 12  # at least, to a look; with fewer than 10 nothing can fail


@dataclass(frozen=True)
class Baseline:
    """The release in the next environment: its id, its model in SageMaker, and the environment."""

    release: str
    model: str
    environment: str


def find_baseline(release: Release, run: Run, following: Environment | None) -> Baseline | str:
    """Return the release to compare with, or the sentence that says why there is none."""
    env = run.env
    if following is None:
        return f"no environment comes after {env.name}"
    if (following.aws.account_id, following.aws.region) != (env.aws.account_id, env.aws.region):
        return f"{following.name} is in another account or region, where {env.name} has no access"
    described = run.aws.describe_endpoint(following.endpoint.name)
    if described is None:
        return f"{following.name} serves nothing yet"
    config = str(described["EndpointConfigName"])
    live = release_of(config)
    if live is None:
        return f"{following.name} serves {config}, which this pipeline has not made"
    if live == release.id:
        return f"{following.name} serves this release already"
    variants = run.aws.read("sagemaker", "describe_endpoint_config", EndpointConfigName=config)
    return Baseline(live, str(variants["ProductionVariants"][0]["ModelName"]), following.name)


def plan_baseline_endpoint(release: Release, env: Environment, baseline: Baseline) -> tuple[Call, Call]:
    """List the calls that put the baseline's model on one instance, with the candidate's settings."""
    endpoint = f"{env.endpoint.name}{BASELINE_SUFFIX}"
    like = config_parameters(release, env, endpoint=endpoint, instances=1)
    (variant,) = like.pop("ProductionVariants")
    del like["EndpointConfigName"]
    settings = {"ProductionVariants": [{**variant, "ModelName": baseline.model}], **like}
    name = content_name(endpoint, baseline.release, settings)
    create = {"EndpointName": endpoint, "EndpointConfigName": name}
    return (
        Call(
            "sagemaker",
            "create_endpoint_config",
            {"EndpointConfigName": name, **settings},
            f"create endpoint config {name}",
        ),
        Call(
            "sagemaker", "create_endpoint", create, f"create endpoint {endpoint} with {baseline.release} on 1"
        ),
    )


@contextmanager
def baseline_endpoint(release: Release, run: Run, baseline: Baseline) -> Iterator[str]:
    """Yield the endpoint's name once it is InService; it is always deleted afterwards."""
    with one_instance_endpoint(plan_baseline_endpoint(release, run.env, baseline), run) as endpoint:
        yield endpoint


def compare_endpoints(
    candidate: str,
    against: str,
    baseline: Baseline,
    env: Environment,
    bench: Bench,
    requests_per_second: float,
) -> tuple[Regression, tuple[Path, ...]]:
    """Send both the same load until there is a verdict, at most LOOKS times.

    `requests_per_second` is to each of them. Returns the regression with the result files that show it.
    """
    slice_seconds = max(1.0, 2 * ENOUGH / requests_per_second)
    seconds = max(bench.profile.compare_seconds, (SLICES + WARM_UP) * slice_seconds)
    phases = [Phase("compared", seconds, 2 * requests_per_second)]
    results: list[LoadResult] = []
    files: list[Path] = []
    while True:
        files.append(bench.folder / f"comparison-{len(files) + 1}.json")
        results.append(run_load(candidate, bench.golden, phases, files[-1], against=against))
        found = judge_regression(
            results,
            baseline=baseline.release,
            environment=baseline.environment,
            requests_per_second=requests_per_second,
            allowed_percent=bench.profile.slower_than(env.limits),
        )
        log.info(f"regression: {found.reason}")
        if found.verdict is not Verdict.INCONCLUSIVE or len(results) == LOOKS:
            return found, tuple(files)
