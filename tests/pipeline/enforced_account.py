"""An account on an AWS that enforces IAM, with staging and production in it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_aws.testing.github_issuer import GithubIssuer
from pipeline.config import Environment
from tests.pipeline.conftest import environment
from tests.pipeline.deploy_jobs import Account, bootstrapped
from tests.pipeline.enforced_steps import PROMOTED_TO, PUBLISHER
from tests.pipeline.scene import contract_cloud
from tests.pipeline.stage import DEPLOYMENT
from tests.pipeline.steps import CAPACITY_RPS
from tests.pipeline.test_train import PROGRAM

ENVIRONMENTS = (PUBLISHER, PROMOTED_TO)


def environment_of(name: str, key: str, data: Path = Path("data")) -> Environment:
    """Return staging, or an environment that promotes from it and trains nothing."""
    changes: dict[str, Any] = {
        "endpoint": {"kms_key": key, "name": f"digits-{name}"},
        "deployment": DEPLOYMENT,
        "autoscaling": {"target": 60 * CAPACITY_RPS},
        "training": {"data": str(data), "hyperparameters": {"epochs": "2"}},
    }
    if name == PUBLISHER:
        return environment(**changes)
    promoted_to = environment(**changes, name=name, promotes_from=PUBLISHER)
    return promoted_to.model_copy(update={"training": None})


@contextmanager
def enforced_account(folder: Path) -> Iterator[Account]:
    """Set an account up with both environments, whose instances' storage a key encrypts."""
    program, data = folder / "train.py", folder / "data"
    program.write_text(PROGRAM)
    data.mkdir()
    (data / "golden.json").write_text('{"cases": [{"instance": [1]}]}')
    settings = {"time_scale": 240, "cpu_scale": 1, "iam": "enforce", "stop_grace_seconds": 2}
    places = {"state_dir": folder / "state", "cache_dir": folder / "cache"}
    command = f"{sys.executable} {program}"
    with (
        GithubIssuer() as issuer,
        contract_cloud(**settings, **places, train_command=command, oidc_issuers=issuer.setting) as cloud,
    ):
        key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        envs = [environment_of(name, key, data) for name in ENVIRONMENTS]
        with bootstrapped(cloud, issuer, folder, envs) as made:
            yield made
