"""The cost of a million predictions follows from the capacity and the price table."""

from datetime import date

import pytest

from pipeline.account.cost import Prices, cost_of_serving

PRICES = Prices(
    as_of=date(2025, 10, 1), region="us-east-1", currency="USD", source="s", hourly={"ml.m5.large": 0.18}
)


def test_the_price_of_an_hour_is_shared_by_what_is_served_in_it() -> None:
    cost = cost_of_serving(50.0, "ml.m5.large", PRICES, is_measured_on_aws=True)

    assert cost is not None
    assert cost.requests_per_instance_hour == 180_000
    assert cost.per_million == pytest.approx(1.0)


def test_a_type_without_a_price_has_no_cost() -> None:
    assert cost_of_serving(50.0, "ml.p9.huge", PRICES, is_measured_on_aws=True) is None
