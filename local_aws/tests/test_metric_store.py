"""The store by itself: exact series, aligned periods, percentiles, bounded memory, threads."""

import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.clock import Clock
from local_aws.cloudwatch.buckets import RELATIVE_ERROR, Bucket, is_statistic
from local_aws.cloudwatch.store import (
    COARSE_SECONDS,
    FINE_SECONDS,
    MetricKey,
    MetricStore,
    Series,
    is_period,
)


class HandClock(Clock):
    """A clock that moves when told to."""

    def __init__(self, at: float = 1_800_000_000.0, scale: float = 30.0) -> None:
        super().__init__(scale)
        self.at = at

    def now(self) -> float:
        return self.at


VALUES = st.lists(
    st.floats(min_value=1e-6, max_value=1e12) | st.sampled_from([0.0, 1.0, 30.0, -5.0, -0.25]), min_size=1
)


def bucket_of(values: list[float]) -> Bucket:
    bucket = Bucket()
    for value in values:
        bucket.add(value)
    return bucket


def nearest_rank(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


@given(values=VALUES, percent=st.integers(min_value=1, max_value=100))
def test_a_percentile_is_within_one_percent_of_the_true_value(values: list[float], percent: int) -> None:
    answer = bucket_of(values).statistic(f"p{percent}")

    assert answer == pytest.approx(nearest_rank(values, percent), rel=RELATIVE_ERROR + 1e-9, abs=1e-12)


@given(left=VALUES, right=VALUES)
def test_merging_is_the_same_as_adding_all(left: list[float], right: list[float]) -> None:
    merged, whole = bucket_of(left), bucket_of(left + right)

    merged.merge(bucket_of(right))

    for name in ("SampleCount", "Minimum", "Maximum", "p50", "p99"):
        assert merged.statistic(name) == whole.statistic(name)
    assert merged.statistic("Sum") == pytest.approx(whole.statistic("Sum"), rel=1e-9, abs=1e-3)


def test_a_bucket_of_equal_values_is_exact_and_keeps_no_histogram() -> None:
    bucket = bucket_of([0.3] * 1000)

    assert (bucket.statistic("p99"), bucket.bins) == (0.3, None)


def test_percentiles_of_a_summary_are_unknown_unless_its_values_are_equal() -> None:
    spread, equal = Bucket(), Bucket()

    spread.add_summary(count=2, total=10, minimum=4, maximum=6)
    equal.add_summary(count=2, total=10, minimum=5, maximum=5)

    assert (spread.statistic("p50"), spread.statistic("Average")) == (None, 5.0)
    assert (equal.statistic("p50"), equal.statistic("SampleCount")) == (5.0, 2.0)


@pytest.mark.parametrize(
    ("name", "known"),
    [("Sum", True), ("p99", True), ("p99.9", True), ("p100", True), ("tm99", False), ("p101", False)],
)
def test_known_statistics(name: str, known: bool) -> None:
    assert is_statistic(name) is known


@pytest.mark.parametrize(
    ("seconds", "known"),
    [(5, True), (10, True), (60, True), (300, True), (1, False), (90, False), (0, False)],
)
def test_known_periods(seconds: int, known: bool) -> None:
    assert is_period(seconds) is known


def test_periods_are_aligned_and_last_their_length_divided_by_the_scale() -> None:
    """At scale 30 a minute is two real seconds, from an even second on."""
    clock = HandClock()
    store = MetricStore(clock)
    for offset in (0.0, 1.99, 2.0):
        store.put("N", "M", {}, 1.0, at=clock.at + offset)
    first = store.period_number(60, clock.at)
    series = store.find(MetricKey("N", "M", ()))
    assert series is not None

    counts = {n: b.count for n, b in series.buckets(60, first - 5, first + 5).items()}

    assert counts == {first: 2.0, first + 1: 1.0}
    assert store.period_start(60, first) == clock.at
    assert store.period_start(60, first + 1) == clock.at + 2


def test_a_series_is_its_exact_dimensions_in_any_order() -> None:
    store = MetricStore(HandClock())

    store.put("N", "M", {"a": "1", "b": "2"}, 1.0)
    store.put("N", "M", {"b": "2", "a": "1"}, 1.0)
    store.put("N", "M", {"a": "1"}, 1.0)

    keys = [series.key.dimensions for series in store.all_series()]
    assert keys == [(("a", "1"), ("b", "2")), (("a", "1"),)]


def test_pages_together_look_once_at_each_series_and_one_more_a_page() -> None:
    """A listing is linear in the series, however many pages it takes."""
    store = MetricStore(HandClock())
    for number in range(1_000):
        store.put("N", "even" if number % 2 == 0 else "odd", {"d": str(number)}, 1.0)
    looked: list[str] = []

    def is_even(series: Series) -> bool:
        looked.append(series.key.dimensions[0][1])
        return series.key.name == "even"

    pages: list[list[Series]] = []
    start: int | None = 0
    while start is not None:
        page, start = store.page(start, 50, is_even)
        pages.append(page)

    names = [series.key.dimensions[0][1] for page in pages for series in page]
    assert names == [str(number) for number in range(0, 1_000, 2)]
    assert len(looked) == 1_000 + len(pages) - 1


@pytest.mark.parametrize(
    ("namespace", "delay", "seen_after"),
    [
        ("AWS/SageMaker", 150.0, 7),
        ("/aws/sagemaker/Endpoints", 150.0, 7),
        ("Mine", 150.0, 0),
        ("AWS/X", 0.0, 0),
    ],
)
def test_a_period_of_awss_own_metrics_is_delivered_whole_and_late(
    namespace: str, delay: float, seen_after: int
) -> None:
    """At scale 30 a minute lasts 2 s; 150 AWS seconds after its end are 5 s more."""
    clock = HandClock()
    store = MetricStore(clock, lambda _: delay)
    store.put(namespace, "M", {}, 3.0)
    series, number = store.all_series()[0], store.period_number(60, clock.at)
    seen: list[int] = []
    for second in range(10):
        clock.at = 1_800_000_000.0 + second
        if series.delivered(60, number, number + 1):
            seen.append(second)

    assert seen == list(range(seen_after, 10))
    assert series.buckets(60, number, number + 1)[number].total == 3.0


def test_old_data_lose_resolution_and_then_leave() -> None:
    """Every ten seconds one value, for longer than anything is kept."""
    clock = HandClock(scale=600.0)
    store = MetricStore(clock)
    started = clock.at
    series = store.series("N", "M", {}, unit="None")
    series.is_high_resolution = True
    while clock.at < started + (COARSE_SECONDS + FINE_SECONDS) / clock.scale:
        series.put(1.0)
        clock.at += 10 / clock.scale

    def kept(period: int) -> list[int]:
        numbers = (store.period_number(period, at) for at in (started, clock.at))
        first, last = numbers
        return [int(b.count) for b in series.buckets(period, first, last).values()]

    minutes, tens = kept(60), kept(10)
    assert set(minutes[1:-1]) == {6}
    assert len(minutes) == pytest.approx(COARSE_SECONDS / 60, abs=2)
    assert len(tens) == pytest.approx(FINE_SECONDS / 10, abs=6)


def test_late_data_land_in_their_minute() -> None:
    clock = HandClock()
    store = MetricStore(clock)
    series = store.series("N", "M", {}, unit="None")
    series.put(1.0)
    yesterday = clock.at - 24 * 3600 / clock.scale

    series.put(7.0, at=yesterday)
    series.put(2.0)

    number = store.period_number(60, yesterday)
    now = store.period_number(60, clock.at)
    assert [b.total for b in series.buckets(60, number, number + 1).values()] == [7.0]
    assert [b.total for b in series.buckets(60, now, now + 1).values()] == [3.0]


@pytest.mark.parametrize(
    ("namespace", "high", "seen"),
    [
        ("N", False, {0: 60.0, 6: 30.0}),
        ("AWS/SageMaker", False, {0: 60.0}),
        ("AWS/SageMaker", True, {**dict.fromkeys(range(9), 10.0)}),
        ("N", True, {**dict.fromkeys(range(9), 10.0)}),
    ],
)
def test_a_metric_by_the_minute_has_no_data_in_between(
    namespace: str, high: bool, seen: dict[int, float]
) -> None:
    """One value a second for a minute and a half. PutMetricAlarm's reference describes it for periods below 60."""
    clock = HandClock(scale=1.0)
    clock.at -= clock.at % 60
    series = MetricStore(clock).series(namespace, "M", {}, unit="None")
    series.is_high_resolution = high
    first = int(clock.at) // 10
    for _ in range(90):
        series.put(1.0)
        clock.at += 1

    found = {number - first: bucket.total for number, bucket in series.buckets(10, first, first + 9).items()}
    assert found == seen
    assert {n: b.total for n, b in series.buckets(10, first + 1, first + 6).items() if not high} == {}


@pytest.mark.parametrize(
    ("statistic", "wanted"),
    [
        ("PR(:300)", 30.0),
        ("PR(300:)", 70.0),
        ("PR(100:500)", 40.0),
        ("TC(:300)", 300.0),
        ("TC(100:500)", 400.0),
        ("PR(2000:)", 0.0),
    ],
)
def test_a_rank_and_a_trimmed_count_exclude_the_lower_bound_and_include_the_upper(
    statistic: str, wanted: float
) -> None:
    """So says "CloudWatch statistics definitions"; the bins are wide, so no value lies near a bound."""
    bucket = bucket_of([float(n) + 0.5 if n % 10 else float(n) for n in range(1, 1001)])

    assert bucket.statistic(statistic) == pytest.approx(wanted, rel=0.03)


def test_a_rank_of_one_value_is_exact_at_its_bounds() -> None:
    bucket = bucket_of([300.0] * 4)

    assert [bucket.statistic(name) for name in ("PR(:300)", "PR(300:)", "TC(299.9:300)")] == [100.0, 0.0, 4.0]


def test_a_rank_needs_the_values_and_not_their_summary() -> None:
    bucket = Bucket()
    bucket.add_summary(count=10, total=50, minimum=1, maximum=9)

    assert bucket.statistic("PR(:5)") is None


@pytest.mark.parametrize(
    "name", ["PR(:)", "PR(5:5)", "PR(9:3)", "PR(300)", "TC(10%:90%)", "TM(1:2)", "pr(:3)"]
)
def test_what_no_bucket_can_answer_is_no_statistic(name: str) -> None:
    assert not is_statistic(name)


def test_threads_lose_nothing() -> None:
    clock = HandClock()
    store = MetricStore(clock)

    def work(seed: int) -> None:
        values = random.Random(seed)
        for _ in range(5_000):
            store.put("N", values.choice("AB"), {"d": "x"}, values.random())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    number = store.period_number(60, clock.at)
    total = sum(b.count for s in store.all_series() for b in s.buckets(60, number, number + 1).values())
    assert total == 20_000


def test_putting_is_cheap() -> None:
    """Far under the budget of thousands a second, even on a busy machine (measured: 2 µs here)."""
    clock = HandClock()
    series = Series(MetricKey("N", "M", ()), clock)
    values = [random.lognormvariate(8, 1) for _ in range(20_000)]
    started = time.perf_counter()

    for value in values:
        series.put(value)

    assert (time.perf_counter() - started) / len(values) < 50e-6
