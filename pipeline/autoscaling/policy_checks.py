"""Find scaling policies that never act: AWS accepts them without an error. Pure."""

from collections.abc import Callable, Iterator

from pipeline.config import Environment, StepPolicy

# Target tracking scales in below 0.9 of its target: the two alarms must be at least one invocation a minute
# apart, or a single request more or less moves the fleet.
LEAST_INVOCATIONS = 10.0  # per instance and minute
LEAST_CONCURRENCY = 1.0  # below it, a single request at a time is over the target

# The metrics that SageMaker publishes for a real-time endpoint with these two dimensions.
PUBLISHED = {
    "AWS/SageMaker": frozenset(
        {"Invocations", "InvocationsPerInstance", "Invocation4XXErrors", "Invocation5XXErrors"}
        | {"InvocationModelErrors", "ModelLatency", "OverheadLatency", "ConcurrentRequestsPerModel"}
    ),
    "/aws/sagemaker/Endpoints": frozenset(
        {"CPUUtilization", "MemoryUtilization", "DiskUtilization", "GPUUtilization", "GPUMemoryUtilization"}
    ),
}


def ineffective_policies(
    env: Environment, target: float | None, is_known: Callable[[str, str], bool]
) -> Iterator[str]:
    """Yield the fault of each policy that never acts, or acts on noise.

    `target`: invocations per instance and minute, None without that policy. `is_known(namespace, metric)`:
    whether CloudWatch has such a metric of this endpoint, for namespaces other than
    SageMaker's.
    """
    if target is not None and target < LEAST_INVOCATIONS:
        yield (
            f"a target of {target:g} invocations per instance and minute is below noise: it scales in below "
            f"{0.9 * target:g}, less than one request apart (at least {LEAST_INVOCATIONS:g})"
        )
    concurrent = env.autoscaling.concurrency_target
    if isinstance(concurrent, int | float) and concurrent < LEAST_CONCURRENCY:
        yield f"a concurrency_target of {concurrent:g} is below noise: any request exceeds it (at least 1)"
    for policy in env.autoscaling.steps:
        if not _is_published(policy, is_known):
            yield f"step policy {policy.name}: nobody publishes a metric {policy.namespace} {policy.metric}"


def _is_published(policy: StepPolicy, is_known: Callable[[str, str], bool]) -> bool:
    names = PUBLISHED.get(policy.namespace)
    return policy.metric in names if names is not None else is_known(policy.namespace, policy.metric)
