"""Unchanged clients with the exports of this AWS: the SageMaker SDK v3, the AWS CLI, Locust."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import local_aws
from testbed.serving import Serving

pytestmark = pytest.mark.starts_processes

CLIENTS = Path(__file__).with_name("clients")
AWS_CLI = str(Path(sys.executable).with_name("aws"))


def run(aws: local_aws.Running, *words: str, **variables: str) -> str:
    """Run a client in a process of its own; return what it prints."""
    others = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOCAL_AWS_"))
    }
    environ = {**others, **aws.environ, **variables}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_sdks_resources_create_invoke_update_scale_wait_and_delete(
    serving: Serving, tmp_path: Path
) -> None:
    run(serving.aws, sys.executable, str(CLIENTS / "sdk_v3.py"), str(tmp_path / "seen"))

    assert json.loads((tmp_path / "seen").read_text()) == {
        "created": "release=old",
        "updated": ["sdk-new", "release=new"],
        "scaled": 1,
        "left": [],
    }


def test_the_aws_cli_goes_through_an_endpoints_life(serving: Serving, tmp_path: Path) -> None:
    """`aws sagemaker wait` looks every 30 s: it is asked when there is nothing left to wait for."""
    model, config, name = serving.model("cli"), serving.name("config"), serving.name("endpoint")
    sent, body, log = tmp_path / "request", tmp_path / "answer", f"/aws/sagemaker/Endpoints/{name}"
    sent.write_bytes(b"hi")

    def cli(command: str, *words: str) -> Any:
        told = run(serving.aws, AWS_CLI, *command.split(), *words)
        return json.loads(told) if told.startswith("{") else told

    variants = json.dumps([serving.variant(model)])
    cli(f"sagemaker create-endpoint-config --endpoint-config-name {config} --production-variants", variants)
    cli(f"sagemaker create-endpoint --endpoint-name {name} --endpoint-config-name {config}")
    serving.settled(name)
    cli(f"sagemaker wait endpoint-in-service --endpoint-name {name}")
    invoked = cli(f"sagemaker-runtime invoke-endpoint --endpoint-name {name} --body fileb://{sent} {body}")
    other = serving.config()
    updated = cli(f"sagemaker update-endpoint --endpoint-name {name} --endpoint-config-name {other}")
    moved = serving.settled(name)
    cli(f"sagemaker delete-endpoint --endpoint-name {name}")
    gone = serving.sagemaker.list_endpoints
    serving.wait_until(lambda: not gone(NameContains=name)["Endpoints"], "the endpoint is gone")
    cli(f"sagemaker wait endpoint-deleted --endpoint-name {name}")

    assert invoked["CustomAttributes"].startswith("release=cli;")
    assert json.loads(body.read_text())["body"] == "hi"
    assert updated["EndpointArn"] == serving.account.arn("endpoint", name)
    assert moved["EndpointConfigName"] == other
    assert "serving as release=cli" in str(cli(f"logs filter-log-events --log-group-name {log}"))


def test_locust_loads_an_endpoint_without_a_failure(serving: Serving, tmp_path: Path) -> None:
    name = serving.endpoint(serving.config("one", instances=2))
    command = [sys.executable, "-m", "locust", "-f", str(CLIENTS / "locustfile.py"), "--headless"]
    words = (
        *command,
        "--users",
        "8",
        "--spawn-rate",
        "8",
        "--run-time",
        "2s",
        "--csv",
        str(tmp_path / "run"),
    )
    run(serving.aws, *words, ENDPOINT=name)
    header, row = (tmp_path / "run_stats.csv").read_text().splitlines()[:2]
    told = dict(zip(header.split(","), row.split(","), strict=True))
    (found,) = [e for e in serving.aws.status()["endpoints"] if e["name"] == name]
    ((counted,),) = [requests.items() for requests in found["requests"].values()]

    assert int(told["Failure Count"]) == 0
    assert counted[0] == "200"
    assert counted[1] >= int(told["Request Count"]) > 50
