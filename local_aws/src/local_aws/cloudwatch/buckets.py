"""The values of one metric in one span of time, as four sums and a histogram.

The histogram is log-spaced (bins grow by a constant factor), so a percentile, or a bound of PR and TC, is within
1 % of the true value whatever its magnitude. It exists only once two different values have been seen: counters of 0 and 1
cost no more than their sums.
"""

import math
import re
from collections.abc import Iterable

RELATIVE_ERROR = 0.01
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH = math.log(_GROWTH)
_ZERO_BIN = 0
_OFFSET = 40_000  # above the bin of the smallest double, so that every positive value has a positive bin

SIMPLE_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_BETWEEN = re.compile(r"(PR|TC)\((?P<low>\d+(\.\d+)?)?:(?P<high>\d+(\.\d+)?)?\)")
_PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100)")


def percentile_of(statistic: str) -> float | None:
    """Read `p99` or `p99.9` as a number; None when it is no percentile."""
    match = _PERCENTILE.fullmatch(statistic)
    return float(match[1]) if match else None


def significant_samples(statistic: str) -> float:
    """Return the fewest samples that make a percentile significant; 0 for any other statistic.

    Source: "Percentile-based alarms and low data samples" in the CloudWatch guide.
    """
    percent = percentile_of(statistic)
    if percent is None or not 0 < percent < 100:
        return 0.0
    return round(10 / min(percent / 100, 1 - percent / 100), 6)


def bounds_of(statistic: str) -> tuple[float, float] | None:
    """Read the bounds of `PR(:300)` or `TC(0.5:2)`, values of the metric; None when it is neither."""
    match = _BETWEEN.fullmatch(statistic)
    if match is None or not (match["low"] or match["high"]):
        return None
    low, high = float(match["low"] or -math.inf), float(match["high"] or math.inf)
    return (low, high) if low < high else None


def is_extended_statistic(name: str) -> bool:
    """Check for a statistic that needs the distribution of the values."""
    return percentile_of(name) is not None or bounds_of(name) is not None


def is_statistic(name: str) -> bool:
    """Check whether a bucket can answer a statistic."""
    return name in SIMPLE_STATISTICS or is_extended_statistic(name)


class Bucket:
    """Values of one metric within one span of time."""

    __slots__ = ("bins", "count", "has_values", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self.count = 0.0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf
        self.bins: dict[int, float] | None = None
        self.has_values = True
        """False once a StatisticSet of different values was added: percentiles are unknown from then on."""

    def add(self, value: float, count: float = 1.0) -> None:
        """Add `value`, `count` times."""
        if self.bins is not None:
            key = _bin_of(value)
            self.bins[key] = self.bins.get(key, 0.0) + count
        elif self.count and (value != self.minimum or value != self.maximum):
            self._start_bins()
            self._add_to_bins([(_bin_of(value), count)])
        self.count += count
        self.total += value * count
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)

    def add_summary(self, *, count: float, total: float, minimum: float, maximum: float) -> None:
        """Add a StatisticSet, which lacks the distribution of its values."""
        if minimum == maximum or count == 1:
            self.add(total / count, count)
            return
        self.has_values = False
        self._widen(count, total, minimum, maximum)

    def merge(self, other: "Bucket") -> None:
        """Add the values of another bucket."""
        if not other.count:
            return
        same = other.minimum == other.maximum and (
            not self.count or self.minimum == self.maximum == other.minimum
        )
        if not same:
            self._start_bins()
            self._add_to_bins(other.bins.items() if other.bins else [(_bin_of(other.minimum), other.count)])
        self.has_values = self.has_values and other.has_values
        self._widen(other.count, other.total, other.minimum, other.maximum)

    def statistic(self, name: str) -> float | None:
        """Answer one statistic; None when there is no data for it. `name` satisfies `is_statistic`."""
        if not self.count:
            return None
        if (percent := percentile_of(name)) is not None:
            return self._percentile(percent)
        if (bounds := bounds_of(name)) is not None:
            between = self._count_between(*bounds)
            return between if between is None or name.startswith("TC") else 100 * between / self.count
        average = self.total / self.count
        return dict(
            zip(SIMPLE_STATISTICS, (self.count, average, self.total, self.minimum, self.maximum), strict=True)
        )[name]

    def _percentile(self, percent: float) -> float | None:
        if not self.has_values:
            return None
        if self.bins is None:
            return self.minimum
        if percent >= 100:
            return self.maximum
        wanted = self.count * percent / 100
        seen = 0.0
        for key in sorted(self.bins):
            seen += self.bins[key]
            if seen >= wanted:
                return min(max(_value_of(key), self.minimum), self.maximum)
        return self.maximum

    def _count_between(self, low: float, high: float) -> float | None:
        """Count the values above `low` and up to `high`, as the guide's percentile rank and trimmed count do."""
        if not self.has_values:
            return None
        bins = {_bin_of(self.minimum): self.count} if self.bins is None else self.bins
        values = {key: min(max(_value_of(key), self.minimum), self.maximum) for key in bins}
        return sum((count for key, count in bins.items() if low < values[key] <= high), 0.0)

    def _start_bins(self) -> None:
        if self.bins is None:
            self.bins = {_bin_of(self.minimum): self.count} if self.count else {}

    def _add_to_bins(self, more: Iterable[tuple[int, float]]) -> None:
        assert self.bins is not None
        for key, count in more:
            self.bins[key] = self.bins.get(key, 0.0) + count

    def _widen(self, count: float, total: float, minimum: float, maximum: float) -> None:
        self.count += count
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)


def _bin_of(value: float) -> int:
    if value == 0:
        return _ZERO_BIN
    key = math.ceil(math.log(abs(value)) / _LOG_GROWTH) + _OFFSET
    return key if value > 0 else -key


def _value_of(key: int) -> float:
    if key == _ZERO_BIN:
        return 0.0
    size = 2 * math.exp((abs(key) - _OFFSET) * _LOG_GROWTH) / (_GROWTH + 1)
    return size if key > 0 else -size
