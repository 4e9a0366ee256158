"""`make conformance`: it asks first, CI never runs it, and nothing is left, however it ends. AWS is this machine's."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import local_aws
from testbed.serving import Serving

pytestmark = pytest.mark.starts_processes

TESTS = Path(__file__).parent
REPOSITORY = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/conformance"


def start(aws: local_aws.Running, *words: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "conformance", "--role", ROLE, "--image", "any", *words]
    environ = {name: value for name, value in os.environ.items() if name != "CI"} | aws.environ | variables
    return subprocess.Popen(
        command,
        cwd=TESTS,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left(serving: Serving) -> list[str]:
    """List what a run has made and not deleted."""
    sagemaker, logs = serving.sagemaker, serving.client("logs")
    named = [
        *(one["EndpointName"] for one in sagemaker.list_endpoints(NameContains="conformance-")["Endpoints"]),
        *(one["ModelName"] for one in sagemaker.list_models(NameContains="conformance-")["Models"]),
        *(alarm["name"] for alarm in serving.aws.status()["alarms"] if "conformance-" in alarm["name"]),
        *(group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]),
    ]
    return [name for name in named if "conformance-" in name]


def test_the_cost_is_printed_first_and_nothing_is_made_without_a_yes(serving: Serving) -> None:
    table = json.loads((REPOSITORY / "config" / "prices.json").read_text())
    prices = table["regions"]["us-east-1"]
    process = start(serving.aws, "-k", "a_name_is_given_once")
    told, _ = process.communicate("no\n", timeout=60)

    assert process.returncode == 2
    assert f"{20 / 60 * prices['hourly']['ml.m5.large']:.2f} USD" in told
    assert "20 instance-minutes  test_a_name_is_given_once" in told
    assert "Nothing was made." in told
    assert left(serving) == []


def test_a_run_is_torn_down_and_gives_the_verdict_of_its_tests(serving: Serving) -> None:
    process = start(serving.aws, "-k", "a_name_is_given_once or composite")
    told, _ = process.communicate("yes\n", timeout=120)

    assert process.returncode == 0, told
    assert "2 passed" in told
    assert "deleted alarm both-conformance-" in told
    assert left(serving) == []


def test_a_run_that_is_interrupted_is_torn_down_too(serving: Serving) -> None:
    """In the middle of a bake, with an endpoint that must come back before it can be deleted."""
    process = start(serving.aws, "--yes", "-k", "a_third_of_three")
    serving.wait_until(
        lambda: any(
            endpoint["EndpointStatus"] == "Updating"
            for endpoint in serving.sagemaker.list_endpoints(NameContains="conformance-")["Endpoints"]
        ),
        "a deployment of the run is under way",
    )
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=120)

    assert process.returncode != 0, told
    assert "deleted" in told
    assert left(serving) == []


def test_ci_is_refused(aws: local_aws.Running) -> None:
    process = start(aws, "--yes", CI="true")
    told, _ = process.communicate(timeout=60)

    assert (process.returncode, "never run by CI" in told) == (2, True)
    workflows = [path.read_text() for path in (REPOSITORY / ".github").rglob("*.yml")]
    assert workflows
    assert not any(words in text for text in workflows for words in ("make conformance", "-m conformance"))
