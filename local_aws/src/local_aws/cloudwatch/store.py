"""The metric store: exact series, aligned periods, bounded memory.

* A series is one exact (namespace, name, set of dimensions); a subset of the dimensions is another series.
* Time is counted in AWS seconds since the epoch: wall clock × time scale. Periods are aligned multiples of
  their length in AWS seconds, so a 60 s period lasts 2 real seconds at scale 30. Every timestamp in here is the
  clock's own; `shown` and `meant` convert those that clients read and send.
* Resolution is 5 AWS seconds for 3 AWS hours (AWS keeps sub-minute data that long), then 60 AWS seconds for
  3 AWS days. Periods are 5, 10, 20 or 30 s, or a multiple of 60 s. Approximations: AWS also has 1 s, and
  keeps 60 s for 15 days.
* A series is of high resolution when a client says so (StorageResolution=1), or AWS publishes it so. Any other has one
  datapoint a minute, at its start: a shorter period sees it there, of AWS's own metrics once the minute is over, and
  nothing in between.
* The unit of a series is the one it was last given.
* With a delay, a period of a metric of AWS's own can be read only that long after its end; it may change.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from local_aws.clock import Clock
from local_aws.cloudwatch.buckets import Bucket

TICK_SECONDS = 5
BLOCK_SECONDS = 60
FINE_SECONDS = 3 * 3600
COARSE_SECONDS = 3 * 24 * 3600
_TICKS_PER_BLOCK = BLOCK_SECONDS // TICK_SECONDS


@dataclass(frozen=True)
class MetricKey:
    """The identity of a series; `dimensions` are sorted (name, value) pairs."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> "MetricKey":
        """Build a key whatever the order of the dimensions."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))

    @property
    def is_of_aws(self) -> bool:
        """Check for a metric that AWS publishes itself."""
        return self.namespace.lstrip("/").lower().startswith("aws/")


Delay = Callable[[MetricKey], float]
"""AWS seconds after which a period of a metric of AWS's own can be read."""


def is_period(seconds: int) -> bool:
    """Check whether the store can answer a period."""
    return seconds in (5, 10, 20, 30) or (seconds > 0 and seconds % BLOCK_SECONDS == 0)


class Series:
    """One metric over time. Safe to use from several threads; `put` takes about a microsecond."""

    def __init__(self, key: MetricKey, clock: Clock, delay: Delay = lambda _: 0.0) -> None:
        self.key = key
        self.unit = "None"
        self.is_high_resolution = False
        self._delay = delay
        self._clock = clock
        self._scale = clock.scale
        self._lock = threading.Lock()
        self._fine: dict[int, Bucket] = {}
        self._coarse: dict[int, Bucket] = {}
        self._tick = -1
        self._newest = -1
        self._aged = -1
        self._bucket = Bucket()

    def put(self, value: float, *, at: float | None = None, count: float = 1.0) -> None:
        """Add `value`, `count` times, at epoch seconds `at` (now)."""
        with self._lock:
            self._bucket_at(at).add(value, count)

    def put_summary(self, *, at: float | None = None, **sums: float) -> None:
        """Add a StatisticSet: count, total, minimum and maximum without the values."""
        with self._lock:
            self._bucket_at(at).add_summary(**sums)

    def delivered(self, period: int, first: int, last: int, phase: int = 0) -> dict[int, Bucket]:
        """Aggregate as `buckets` does, without the periods that are not yet delivered."""
        delay_seconds = self._delay(self.key)
        if delay_seconds:
            last = min(last, int((self._clock.now() * self._scale - phase - delay_seconds) // period))
        return self.buckets(period, first, last, phase)

    def buckets(self, period: int, first: int, last: int, phase: int = 0) -> dict[int, Bucket]:
        """Aggregate the aligned periods numbered `first` up to and without `last`; empty ones are left out.

        Period number n starts at n × `period` + `phase` AWS seconds since the epoch. `period` satisfies `is_period`;
        `phase` is whole minutes, and 0 for a period below a minute.
        """
        if period < BLOCK_SECONDS and not self.is_high_resolution:
            return self._minutes(BLOCK_SECONDS // period, first, last)
        merged: dict[int, Bucket] = {}
        with self._lock:
            if period % BLOCK_SECONDS == 0:
                _gather(self._coarse, period // BLOCK_SECONDS, first, last, merged, phase // BLOCK_SECONDS)
            _gather(self._fine, period // TICK_SECONDS, first, last, merged, phase // TICK_SECONDS)
        return merged

    def _minutes(self, per_minute: int, first: int, last: int) -> dict[int, Bucket]:
        """Return whole minutes, each by the number of the period with which it starts."""
        now = int(self._clock.now() * self._scale // BLOCK_SECONDS)
        end = min(-(-last // per_minute), now if self.key.is_of_aws else now + 1)
        minutes = self.buckets(BLOCK_SECONDS, -(-first // per_minute), end)
        return {number * per_minute: bucket for number, bucket in minutes.items()}

    def newest(self) -> float:
        """Return the epoch second of the newest value, to the tick."""
        return self._newest * TICK_SECONDS / self._scale

    def _bucket_at(self, at: float | None) -> Bucket:
        tick = int((self._clock.now() if at is None else at) * self._scale // TICK_SECONDS)
        if tick != self._tick:
            self._turn_to(tick)
        return self._bucket

    def _turn_to(self, tick: int) -> None:
        now = int(self._clock.now() * self._scale // TICK_SECONDS)
        if now // _TICKS_PER_BLOCK != self._aged // _TICKS_PER_BLOCK:
            self._age(now)
        self._tick = tick
        self._newest = max(self._newest, tick)
        if tick < now - FINE_SECONDS // TICK_SECONDS:
            self._bucket = self._coarse.setdefault(tick // _TICKS_PER_BLOCK, Bucket())
        else:
            self._bucket = self._fine.setdefault(tick, Bucket())

    def _age(self, now: int) -> None:
        """Merge values past their fine resolution into minutes; drop those past the coarse one."""
        self._aged = now
        for tick in [tick for tick in self._fine if tick < now - FINE_SECONDS // TICK_SECONDS]:
            self._coarse.setdefault(tick // _TICKS_PER_BLOCK, Bucket()).merge(self._fine.pop(tick))
        oldest = now // _TICKS_PER_BLOCK - COARSE_SECONDS // BLOCK_SECONDS
        for block in [block for block in self._coarse if block < oldest]:
            del self._coarse[block]


def _gather(
    source: Mapping[int, Bucket], per_period: int, first: int, last: int, into: dict[int, Bucket], phase: int
) -> None:
    span = range(first * per_period + phase, last * per_period + phase)
    wanted: Iterable[int] = [index for index in source if index in span] if len(source) < len(span) else span
    for index in wanted:
        bucket = source.get(index)
        if bucket is not None:
            into.setdefault((index - phase) // per_period, Bucket()).merge(bucket)


class MetricStore:
    """All series of one region; those of AWS's own namespaces become readable after `delay`."""

    def __init__(self, clock: Clock, delay: Delay = lambda _: 0.0) -> None:
        self.clock = clock
        self._delay = delay
        self._series: dict[MetricKey, Series] = {}
        self._order: list[Series] = []
        self._lock = threading.Lock()

    def put(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        value: float,
        *,
        unit: str = "None",
        at: float | None = None,
    ) -> None:
        """Add one value at epoch seconds `at` (now)."""
        self.series(namespace, name, dimensions, unit=unit).put(value, at=at)

    def series(self, namespace: str, name: str, dimensions: Mapping[str, str], *, unit: str) -> Series:
        """Return the series, made if need be; keep it for repeated puts."""
        key = MetricKey.of(namespace, name, dimensions)
        series = self._series.get(key)
        if series is None:
            series = self._add(key)
        series.unit = unit
        return series

    def delay_of(self, key: MetricKey) -> float:
        """Return the AWS seconds after which a period can be read: 0 for a client's own metrics."""
        return self._delay(key) if key.is_of_aws else 0.0

    def find(self, key: MetricKey) -> Series | None:
        """Return an existing series."""
        return self._series.get(key)

    def all_series(self) -> tuple[Series, ...]:
        """List all series, the oldest first."""
        return tuple(self._order)

    def page(
        self, start: int, size: int, wanted: Callable[[Series], bool]
    ) -> tuple[list[Series], int | None]:
        """List `size` wanted series from number `start` on, and the number that the next page starts at.

        All pages together look once at each series (but for the first of a page, which ended the one before).
        """
        found: list[Series] = []
        for number in range(start, len(self._order)):
            if wanted(self._order[number]):
                if len(found) == size:
                    return found, number
                found.append(self._order[number])
        return found, None

    def period_number(self, period: int, at: float) -> int:
        """Return the number of the aligned period that contains epoch seconds `at`."""
        return int(at * self.clock.scale // period)

    def period_start(self, period: int, number: int, phase: int = 0) -> float:
        """Return the epoch seconds at which period `number` starts."""
        return (number * period + phase) / self.clock.scale

    def shown(self, at: float) -> float:
        """Convert epoch seconds of the store to those of the machine's clock, which clients read."""
        return at + self.clock.shift()

    def meant(self, at: float) -> float:
        """Convert epoch seconds that a client has sent to those of the store."""
        return at - self.clock.shift()

    def _add(self, key: MetricKey) -> Series:
        with self._lock:
            if key not in self._series:
                self._series[key] = Series(key, self.clock, self.delay_of)
                self._order.append(self._series[key])
            return self._series[key]
