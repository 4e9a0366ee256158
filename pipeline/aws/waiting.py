"""Wait for AWS: look, pause and look again, until a condition holds or the time is up."""

from collections.abc import Callable
from typing import TypeVar

from pipeline.aws.clock import Clock

T = TypeVar("T")


def pause_seconds(waited: float) -> float:
    """Return the pause before the next look: half a second at first, five seconds after some minutes."""
    return min(5.0, 0.5 + waited / 60)


def wait_until(
    look: Callable[[], T],
    is_done: Callable[[T], bool],
    bound_seconds: float,
    clock: Clock,
    *,
    timed_out: Callable[[T, float], Exception] | None = None,
    report: Callable[[T, float], None] = lambda *_: None,
    pause: Callable[[float], float] = pause_seconds,
) -> T:
    """Look until `is_done`, and return the last look.

    Once `bound_seconds` are over, raises the error that `timed_out` makes of the last look and the seconds waited;
    without one, the last look is returned as it is. `report` is called with the same two before each pause.
    `pause`: seconds until the next look, by the seconds waited.
    """
    started = clock.monotonic()
    while not is_done(seen := look()):
        waited = clock.monotonic() - started
        if waited >= bound_seconds:
            if timed_out is None:
                break
            raise timed_out(seen, waited)
        report(seen, waited)
        clock.sleep(pause(waited))
    return seen
