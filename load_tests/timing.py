"""One clock for intended and real moments: epoch seconds that never jump, because they count from one reading."""

import time

_EPOCH = time.time() - time.perf_counter()


def now() -> float:
    """Return epoch seconds; steady, and as fine as the machine's counter."""
    return _EPOCH + time.perf_counter()
