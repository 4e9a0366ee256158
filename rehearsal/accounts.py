"""The accounts of the environments, as config names them, and their administrators on the local AWS."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.errors import RehearsalError
from rehearsal.machine import ROOT

CONFIG = ROOT / "config"
SECONDS = 60.0


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
    words = ["pipeline", "config", "show", "--env", environment, "--config", str(config), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode != 0:
        raise RehearsalError(done.stderr.strip(), fix=f"Correct {config}/{environment}.yaml.")
    aws = json.loads(done.stdout)["aws"]
    return Place(aws["account_id"], aws["region"])


def settings(places: Iterable[Place]) -> dict[str, str]:
    """Return the settings of a local AWS that serves these places."""
    return {"LOCAL_AWS_REGIONS": " ".join(sorted({place.region for place in places}))}
