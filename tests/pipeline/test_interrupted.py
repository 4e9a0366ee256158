"""Ctrl-C in the middle of a step: one sentence says what goes on at AWS, and the same command continues."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.autoscaling.saved_scaling import scaling_saved
from pipeline.aws import AwsClient, Call
from pipeline.cli.interrupted import INTERRUPTED, READER_GONE, TERMINATED
from pipeline.deployment.deploy import deploy
from pipeline.errors import AwsUnreachable
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.audit import audit_lines
from pipeline.state.lock import read_lock
from tests.pipeline.scene import contract_cloud, endpoint_of, published, wait_for
from tests.pipeline.steps import MakeEnv

pytestmark = pytest.mark.starts_processes
DEPLOYMENT = {"bake_seconds": 240, "termination_wait_seconds": 0, "maximum_execution_seconds": 28800}


@pytest.fixture(scope="module")
def cloud() -> Iterator[local_aws.Running]:
    """Run an AWS whose minute takes two seconds: time enough to interrupt a bake."""
    with contract_cloud(time_scale=30, cpu_scale=0.5, endpoint_quotas="*=100") as aws:
        yield aws


@pytest.fixture
def run(own_name: str, make_env: MakeEnv, tmp_path: Path) -> Run:
    env = make_env(
        name=own_name,
        endpoint={"name": own_name},
        deployment=DEPLOYMENT,
        aws={"bucket": f"{own_name}-releases"},
    )
    run = Run.for_environment(env, tmp_path / "build")
    bootstrap(run)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / f"{own_name}.yaml").write_text(yaml.safe_dump(env.document()))
    return run


@pytest.fixture
def second(run: Run, tmp_path: Path) -> Release:
    """Publish a release while another one is live."""
    deploy(published(run, tmp_path / "models", "one"), run)
    release = published(run, tmp_path / "models", "two")
    release.save(run.build / "release.json")
    return release


def command(run: Run, name: str) -> list[str]:
    folders = ["--config", str(run.build.parent / "config"), "--build", str(run.build)]
    return [sys.executable, "-m", "pipeline", name, "--env", run.env.name, *folders]


def is_baking(run: Run) -> bool:
    pending = endpoint_of(run).get("PendingDeploymentSummary") or {}
    stages = [
        status["Status"]
        for each in pending.get("ProductionVariants", [])
        for status in each.get("VariantStatus", [])
    ]
    return "Baking" in stages


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_a_deployment_that_is_interrupted_says_what_goes_on_and_is_resumed(
    run: Run, second: Release, number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        command(run, "deploy"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as step:
        wait_for(lambda: is_baking(run), "the canary never baked")
        step.send_signal(number)
        _, told = step.communicate(timeout=60)

    assert step.returncode == code
    assert told.strip() == (
        f"Interrupted: deploy {run.env.name}. If AWS has begun to update the endpoint, it goes on, and alarms can still "
        f"roll it back: `python -m pipeline status --env {run.env.name}` shows it. Run the same command again to "
        "continue where it stopped."
    )
    assert read_lock(run) is None
    assert audit_lines(run, 1)[0].outcome == "interrupted"

    run.aws.made.clear()
    assert deploy(second, run).release == second.id
    assert not [sentence for sentence in run.aws.made if sentence.startswith("update endpoint")]


def test_a_plan_whose_reader_has_read_enough_ends_quietly(run: Run, second: Release) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            command(run, "plan"), stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.stderr == ""
    assert done.returncode == READER_GONE


class Expired(AwsClient):
    """The client, once its credentials have expired."""

    is_expired = False

    def expire(self) -> None:
        """Expire now, in the middle of a question."""
        self.is_expired = True
        self.describe_endpoint("x")

    def read(self, service: str, operation: str, /, **params: object) -> dict[str, object]:
        if self.is_expired:
            raise AwsUnreachable("ExpiredToken", fix="Get fresh credentials")
        return super().read(service, operation, **params)


@pytest.mark.parametrize(
    ("saves", "says"),
    [
        (
            False,
            "it could not be checked whether an earlier run has set the scaling of {name} aside; if so, the next",
        ),
        (True, "the scaling of {name} was not restored; the next deploy restores it"),
    ],
)
def test_credentials_that_expire_claim_nothing_that_was_not_checked(
    run: Run, caplog: pytest.LogCaptureFixture, saves: bool, says: str
) -> None:
    client = Expired(run.env.aws)
    expired = Run(run.env, client, run.build)
    params = {"Bucket": run.env.aws.bucket, "Key": "scaling-set-aside/x", "Body": b"{}"}
    calls = [Call("s3", "put_object", params, "save the scaling")] if saves else []
    with pytest.raises(AwsUnreachable), scaling_saved(calls, expired):
        client.expire()

    (warned,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert says.format(name=run.env.endpoint.name) in warned
