"""The rehearsal's accounts are those of the config, and its tables name them."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from rehearsal.accounts import Place, settings
from rehearsal.journey import Journey
from rehearsal.machine import Machine
from rehearsal.machine_load import MachineLoad
from rehearsal.models import CONFIG
from rehearsal.progress import Progress
from rehearsal.summary import show_identities

STAGING, PRODUCTION = Place("123456789012", "eu-west-1"), Place("210987654321", "eu-central-1")


def test_an_accounts_administrator_has_its_digits_as_access_key() -> None:
    given = PRODUCTION.administrator({"AWS_ACCESS_KEY_ID": "local-aws", "AWS_ENDPOINT_URL": "http://here"})

    assert given == {
        "AWS_ACCESS_KEY_ID": "210987654321",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://here",
    }


def test_the_local_aws_serves_the_regions_of_the_config() -> None:
    assert settings([STAGING, PRODUCTION, STAGING]) == {"LOCAL_AWS_REGIONS": "eu-central-1 eu-west-1"}


@pytest.mark.parametrize(("production", "copies"), [(PRODUCTION, 1), (STAGING, 0)])
def test_a_release_is_copied_between_accounts_alone(tmp_path: Path, production: Place, copies: int) -> None:
    ran: list[tuple[str, ...]] = []
    places = {"staging": STAGING, "production": production}
    progress = Progress([], Console(file=io.StringIO()))
    journey = Journey(tmp_path, Machine("process", ""), progress, MachineLoad(), places=places)
    journey.replicate(lambda *words, environ: ran.append((*words, environ["AWS_ACCESS_KEY_ID"])))

    config = ("--config", str(CONFIG), "--build", str(tmp_path))
    expected = ("pipeline", "replicate", "--env", "production", *config, "210987654321")
    assert ran == [expected] * copies


def test_the_closing_table_names_accounts_and_roles() -> None:
    out = io.StringIO()
    show_identities(Console(file=out), {"production": (str(PRODUCTION), "digits-deploy-production")})

    assert "210987654321, eu-central-1" in out.getvalue()
    assert "digits-deploy-production" in out.getvalue()
