"""The hourly cost of an environment: instances × the prices of its Region, dated, in the repository."""

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from pipeline.config import Environment
from pipeline.errors import ConfigError
from pipeline.model import Model

PRICES = "prices.json"


class RegionPrices(Model):
    """On-demand prices of endpoint instances by type, per hour, in one Region."""

    as_of: date
    source: str
    hourly: dict[str, Annotated[float, Field(gt=0)]]


class PriceTable(Model):
    """The prices of each Region, as the file has them."""

    currency: str
    regions: dict[str, RegionPrices]


class Prices(RegionPrices):
    """The prices of one Region, with its name and their currency."""

    region: str
    currency: str


class Cost(Model):
    """The cost of instances per hour; requests, storage, logs and metrics are not included.

    `now`: at the first size; `at_maximum`: of the largest fleet; `during_deployment`: while that is updated.
    """

    environment: str
    instance_type: str
    currency: str
    prices_as_of: date
    prices_region: str
    now: float
    at_maximum: float
    during_deployment: float

    def sentences(self) -> list[str]:
        """Return the figures as sentences."""
        rows = {
            "at first": self.now,
            "at maximum": self.at_maximum,
            "during a deployment at maximum": self.during_deployment,
        }
        return [
            *(f"{what}: {value:.3f} {self.currency} per hour" for what, value in rows.items()),
            f"{self.instance_type} in {self.prices_region}, prices of {self.prices_as_of}: "
            "compare them with AWS's before you plan a budget",
        ]


class ServingCost(Model):
    """The rate that an instance serves within the SLO, and its cost. `is_measured_on_aws`: on AWS itself."""

    instance_type: str
    currency: str
    prices_as_of: date
    prices_region: str
    hourly: float
    requests_per_instance_hour: float
    per_million: float
    is_measured_on_aws: bool


def cost_of_serving(
    requests_per_second: float, instance_type: str, prices: Prices, *, is_measured_on_aws: bool
) -> ServingCost | None:
    """Divide the price by the rate that one instance serves; None for an instance type without a price."""
    hourly = prices.hourly.get(instance_type)
    if hourly is None:
        return None
    requests = requests_per_second * 3600
    return ServingCost(
        instance_type=instance_type,
        currency=prices.currency,
        prices_as_of=prices.as_of,
        prices_region=prices.region,
        hourly=hourly,
        requests_per_instance_hour=requests,
        per_million=hourly / requests * 1e6,
        is_measured_on_aws=is_measured_on_aws,
    )


def find_prices(directory: Path, region: str) -> Prices | None:
    """Return the prices of a Region; None without any. Raises ConfigError when the table is missing or broken."""
    path = directory / PRICES
    try:
        table = PriceTable.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"{path} is no price table: {error}", fix="Restore it from the repository."
        ) from error
    found = table.regions.get(region)
    return None if found is None else Prices(**found.model_dump(), region=region, currency=table.currency)


def load_prices(directory: Path, region: str) -> Prices:
    """Return the prices of a Region. Raises ConfigError when the table is missing, broken, or has none."""
    prices = find_prices(directory, region)
    if prices is None:
        raise ConfigError(
            f"{directory / PRICES} has no prices of {region}; those of another Region are not this one's.",
            fix=f"Add {region} to it from https://aws.amazon.com/sagemaker/pricing/, with the date.",
        )
    return prices


def cost_of(env: Environment, prices: Prices) -> Cost:
    """Multiply instances by prices. Raises ConfigError for an instance type without a price."""
    kind = env.endpoint.instance_type
    price = prices.hourly.get(kind)
    if price is None:
        raise ConfigError(
            f"The prices of {prices.region} of {prices.as_of} have no {kind}.",
            fix=f"Add it to config/{PRICES}, with its date.",
        )
    most = env.autoscaling.largest_fleet
    return Cost(
        environment=env.name,
        instance_type=kind,
        currency=prices.currency,
        prices_as_of=prices.as_of,
        prices_region=prices.region,
        now=round(env.endpoint.initial_instances * price, 4),
        at_maximum=round(most * price, 4),
        during_deployment=round(env.deployment.both_fleets(most) * price, 4),
    )
