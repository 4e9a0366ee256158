"""The accounts of the environments, as config names them, and their administrators on the local AWS."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.models import config_of


@dataclass(frozen=True)
class Place:
    """The account and Region of an environment."""

    account: str
    region: str

    def administrator(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of the account's administrator: on the local AWS, its digits are the access key."""
        return {**environ, "AWS_ACCESS_KEY_ID": self.account, "AWS_DEFAULT_REGION": self.region}

    def __str__(self) -> str:
        return f"{self.account}, {self.region}"


def place_of(environment: str, config: Path) -> Place:
    """Read account and Region of an environment. Raises RehearsalError for a config that is not valid."""
    aws = config_of(environment, config)["aws"]
    return Place(aws["account_id"], aws["region"])


def settings(places: Iterable[Place]) -> dict[str, str]:
    """Return the settings of a local AWS that serves these places."""
    return {"LOCAL_AWS_REGIONS": " ".join(sorted({place.region for place in places}))}
