"""One clock for due times and real times: epoch seconds from a single reading, so that they never jump."""

import time

_EPOCH = time.time() - time.perf_counter()


def now() -> float:
    """Return epoch seconds: monotonic, at the resolution of `time.perf_counter`."""
    return _EPOCH + time.perf_counter()
