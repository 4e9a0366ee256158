"""CloudWatch's spelling of statistics and of the treatment of missing data."""

MISSING_DATA = {
    "not_breaching": "notBreaching",
    "breaching": "breaching",
    "ignore": "ignore",
    "missing": "missing",
}


def statistic(name: str) -> dict[str, str]:
    """Return the parameter that holds a statistic: percentiles have one of their own."""
    return {"ExtendedStatistic" if name.startswith("p") else "Statistic": name}
