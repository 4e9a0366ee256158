"""Waiting for AWS: how often to look."""


def pause_seconds(waited: float) -> float:
    """How long until the next look: half a second at first, five after some minutes."""
    return min(5.0, 0.5 + waited / 60)
