"""The targets of target tracking, from the measured capacity of one instance. Pure."""

from dataclasses import dataclass

from pipeline.config import Environment


@dataclass(frozen=True)
class MeasuredCapacity:
    """The measured capacity of one instance.

    `concurrent_requests`: at `requests_per_second` × the safety factor, by the metric of the high-resolution
    policy; None: CloudWatch had no figures.
    """

    requests_per_second: float
    concurrent_requests: float | None = None


def wanted_target(env: Environment, measured: MeasuredCapacity | None) -> float | None:
    """Return the invocations per instance and minute: AWS's advice is capacity × safety factor × 60."""
    if env.autoscaling.target != "measured":
        return env.autoscaling.target
    if measured is None:
        return None
    return round(measured.requests_per_second * env.autoscaling.safety_factor * 60, 2)


def with_measured_concurrency(env: Environment, measured: MeasuredCapacity | None) -> Environment:
    """Return the environment with a number for `concurrency_target: measured`; unchanged where none is known."""
    if (
        env.autoscaling.concurrency_target != "measured"
        or measured is None
        or measured.concurrent_requests is None
    ):
        return env
    known = {"concurrency_target": measured.concurrent_requests}
    return env.model_copy(update={"autoscaling": env.autoscaling.model_copy(update=known)})


def missing_measurement(env: Environment, measured: MeasuredCapacity | None) -> str | None:
    """Return the measurement that a policy of the config still lacks; None: it lacks none."""
    scaling = env.autoscaling
    if measured is None and "measured" in (scaling.target, scaling.concurrency_target):
        return "no capacity of this release is known yet"
    if with_measured_concurrency(env, measured).autoscaling.concurrency_target == "measured":
        return "CloudWatch had no ConcurrentRequestsPerModel when the capacity was measured: measure it again"
    return None
