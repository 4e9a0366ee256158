"""The outcome of a release's last promotion into an environment; kept beside the evidence."""

from typing import Literal

from pipeline.config import Strategy
from pipeline.model import Model


class PromotionOutcome(Model):
    """The outcome of a promotion. `live`: the release that serves afterwards."""

    release: str
    environment: str
    verdict: Literal["promoted", "failed"]
    reason: str
    live: str | None
    strategy: Strategy | None = None  # as asked for; None where an earlier version of the pipeline wrote it
    was_live: bool = False  # a failed release that had served the traffic before it was put back
    finished: float  # epoch seconds


def outcome_key(release_id: str, environment: str) -> str:
    """Return the key of the outcome of the last promotion of a release into an environment."""
    return f"evidence/{release_id}/{environment}-promotion.json"
