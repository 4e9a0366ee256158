"""From what one instance was measured to do to the numbers that target tracking holds. Pure."""

from dataclasses import dataclass

from pipeline.config import Environment


@dataclass(frozen=True)
class MeasuredCapacity:
    """What one instance was measured to do.

    `concurrent_requests`: under way on it at `requests_per_second` × the safety factor, by the metric of the
    high-resolution policy; None: CloudWatch had no figures of it.
    """

    requests_per_second: float
    concurrent_requests: float | None = None


def wanted_target(env: Environment, measured: MeasuredCapacity | None) -> float | None:
    """Invocations per instance and minute: AWS's advice is capacity × safety factor × 60."""
    if env.autoscaling.target != "measured":
        return env.autoscaling.target
    if measured is None:
        return None
    return round(measured.requests_per_second * env.autoscaling.safety_factor * 60, 2)


def with_measured_concurrency(env: Environment, measured: MeasuredCapacity | None) -> Environment:
    """Return the environment with a number for `concurrency_target: measured`; as it is, where none is known."""
    if (
        env.autoscaling.concurrency_target != "measured"
        or measured is None
        or measured.concurrent_requests is None
    ):
        return env
    known = {"concurrency_target": measured.concurrent_requests}
    return env.model_copy(update={"autoscaling": env.autoscaling.model_copy(update=known)})


def missing_measurement(env: Environment, measured: MeasuredCapacity | None) -> str | None:
    """Say what a policy of the config still lacks; None: nothing."""
    scaling = env.autoscaling
    if measured is None and "measured" in (scaling.target, scaling.concurrency_target):
        return "no capacity of this release is known yet"
    if with_measured_concurrency(env, measured).autoscaling.concurrency_target == "measured":
        return "CloudWatch had no ConcurrentRequestsPerModel when the capacity was measured: measure it again"
    return None
