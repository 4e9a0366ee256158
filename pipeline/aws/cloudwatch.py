"""CloudWatch's spelling of dimensions, statistics and the treatment of missing data."""

from collections.abc import Mapping

MISSING_DATA = {
    "not_breaching": "notBreaching",
    "breaching": "breaching",
    "ignore": "ignore",
    "missing": "missing",
}


def statistic(name: str) -> dict[str, str]:
    """Return the parameter that holds a statistic: percentiles have one of their own."""
    return {"ExtendedStatistic" if name.startswith("p") else "Statistic": name}


def dimensions(named: Mapping[str, str]) -> list[dict[str, str]]:
    """Return dimensions as CloudWatch's calls take them."""
    return [{"Name": name, "Value": value} for name, value in named.items()]
