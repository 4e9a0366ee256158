"""The accounts of the environments, as config names them, and their administrators on the local AWS."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


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


def place_of(config: Mapping[str, Any]) -> Place:
    """Return account and Region of an environment's config."""
    return Place(config["aws"]["account_id"], config["aws"]["region"])


def settings(places: Iterable[Place]) -> dict[str, str]:
    """Return the settings of a local AWS that serves these places."""
    return {"LOCAL_AWS_REGIONS": " ".join(sorted({place.region for place in places}))}
