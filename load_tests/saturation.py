"""Limits on the load generator: beyond them a phase measures the generator, not the endpoint."""

CPU_LIMIT_PERCENT = 90.0  # of the one core that Locust's process can use
LAG_LIMIT_MS = 100.0  # 99 of 100 requests must start within this of their time


def invalid_reason(cpu_percent: float, lag_p99_ms: float | None) -> str | None:
    """Return the resource that the generator lacked during a phase; None when the phase is valid."""
    if cpu_percent >= CPU_LIMIT_PERCENT:
        return f"the generator used {cpu_percent:.0f} % of its core: give it a machine with more to spare"
    if lag_p99_ms is not None and lag_p99_ms > LAG_LIMIT_MS:
        return (
            f"the generator started requests up to {lag_p99_ms:.0f} ms late (99th percentile, at most "
            f"{LAG_LIMIT_MS:.0f}): something else used its CPU; give it a machine of its own"
        )
    return None
