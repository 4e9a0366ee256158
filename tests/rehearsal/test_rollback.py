"""A bad release is rolled back by its own alarm during the canary, and `deploy` reports it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

import golden
import local_aws
from tests.rehearsal.clients import Clients
from tests.rehearsal.digits import MODEL, diverged_weights

pytestmark = [pytest.mark.measures, pytest.mark.starts_processes]

ROOT = Path(__file__).parents[2]
KINDS = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("process")]


def pipeline(environ: dict[str, str], build: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words, "--build", str(build)],
        cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


@pytest.mark.matrix
@pytest.mark.timeout(900)
@pytest.mark.parametrize("instances", KINDS)
def test_a_release_that_answers_500_is_rolled_back_by_its_own_alarm(instances: str, tmp_path: Path) -> None:
    golden_set = golden.read_folder(MODEL)
    assert golden_set is not None
    engine = [] if instances == "docker" else ["--no-engine"]
    with local_aws.start(instances=instances) as aws:
        good, bad = tmp_path / "good", tmp_path / "bad"
        for words in (["bootstrap"], ["publish", *engine], ["deploy"]):
            done = pipeline(aws.environ, good, *words, "--env", "staging")
            assert done.returncode == 0, done.stdout + done.stderr
        weights = diverged_weights(tmp_path / "weights")
        published = pipeline(
            aws.environ, bad, "publish", "--env", "staging", "--weights", str(weights), *engine
        )
        assert published.returncode == 0, published.stdout + published.stderr
        deployed = json.loads((good / "staging" / "deploy.json").read_text())["result"]
        endpoint, release = deployed["endpoint"], deployed["release"]

        runtime = boto3.client(
            "sagemaker-runtime",
            endpoint_url=aws.url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            region_name="eu-west-1",
            config=Config(retries={"total_max_attempts": 1}),
        )
        with Clients(runtime, endpoint, golden_set) as clients:
            assert clients.wait_for(lambda answers: len(answers) >= 20)
            attempt = pipeline(aws.environ, bad, "deploy", "--env", "staging")
            seen = len(clients.answers)
            assert clients.wait_for(lambda answers: len(answers) >= seen + 50)
            counted, after = clients.counted(), clients.answers[seen:]
        described = aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)

    assert attempt.returncode == 5, attempt.stdout + attempt.stderr
    assert "DeploymentRolledBack" in attempt.stderr
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == deployed["config"]
    assert set(counted) == {release, "ModelError 500"}, "only the old release and the bad one's errors"
    assert counted["ModelError 500"] > 0
    assert set(after) == {release}, "after the rollback every answer is the old release's"
