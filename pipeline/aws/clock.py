"""AWS's clock: how many of its seconds pass in one second here."""

from collections.abc import Mapping


def time_scale(environ: Mapping[str, str]) -> float | None:
    """Return AWS's seconds per second: what AWS_SECONDS_PER_SECOND says, else 1 where AWS itself answers."""
    if said := environ.get("AWS_SECONDS_PER_SECOND"):
        return float(said)
    return None if any(name.startswith("AWS_ENDPOINT_URL") for name in environ) else 1.0
