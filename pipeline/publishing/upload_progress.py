"""The progress of an upload: a bar on a terminal, a line for each tenth elsewhere."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.publishing.upload import Sent

log = logging.getLogger(__name__)

SHOWN_FROM_BYTES = 64 * 1024**2  # smaller uploads end within seconds


@contextmanager
def upload_progress(what: str, total: int) -> Iterator[Sent]:
    """Yield the function to call with each number of bytes that arrived; `total` in bytes."""
    if total < SHOWN_FROM_BYTES:
        yield lambda _: None
    elif sys.stdout.isatty():
        with _bar(what, total) as sent:
            yield sent
    else:
        yield _lines(what, total)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Sent]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns) as progress:
        task = progress.add_task(what, total=total)
        yield lambda arrived: progress.update(task, advance=arrived)


def _lines(what: str, total: int) -> Sent:
    arrived = 0

    def sent(more: int) -> None:
        nonlocal arrived
        before, arrived = arrived * 10 // total, arrived + more
        if arrived * 10 // total > before:
            log.info(f"  {what}: {arrived * 100 // total} % of {total:,} bytes")

    return sent
