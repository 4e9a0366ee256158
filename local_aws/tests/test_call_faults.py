"""Faults of calls, and the ways to switch faults on and off."""

import os
import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.faults import Faults
from testbed.serving import Serving, refused


@pytest.mark.starts_processes
def test_a_throttled_call_is_retried_by_boto3_and_the_fault_is_spent(serving: Serving) -> None:
    patient = serving.aws.client("sagemaker")
    with serving.aws.fault("throttle", operation="ListEndpoints", times=2):
        refused("ThrottlingException", serving.sagemaker.list_endpoints)
        serving.sagemaker.list_models()
        assert patient.list_endpoints()["ResponseMetadata"]["RetryAttempts"] == 1
        assert patient.list_endpoints()["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.starts_processes
def test_an_internal_error_comes_before_the_call_is_made(serving: Serving) -> None:
    patient = serving.aws.client("sagemaker")
    with serving.aws.fault("internal-error", operation="CreateModel", times=2):
        refused("InternalFailure", serving.sagemaker.create_model, ModelName="never-made")
        assert "ModelArn" in patient.create_model(
            ModelName="made-at-last", PrimaryContainer={"Image": "contract-server"}
        )

    refused("ValidationException", serving.sagemaker.describe_model, ModelName="never-made")


@pytest.mark.starts_processes
def test_a_lost_answer_is_that_of_a_call_that_was_made(serving: Serving) -> None:
    """So the second try of boto3 finds the model there."""
    model = {"ModelName": "made", "PrimaryContainer": {"Image": "contract-server"}}
    with serving.aws.fault("lost-answer", operation="CreateModel", times=1):
        message = refused("ValidationException", serving.aws.client("sagemaker").create_model, **model)

    assert "Cannot create already existing model" in message


@pytest.mark.starts_processes
def test_expired_credentials_refuse_every_call_in_its_own_protocol(serving: Serving) -> None:
    calls: dict[str, Any] = {
        "sagemaker": "list_endpoints",
        "s3": "list_buckets",
        "sts": "get_caller_identity",
        "cloudwatch": "list_metrics",
    }
    name = serving.endpoint(serving.config("one"))
    with serving.aws.fault("expired-credentials"):
        for service, call in calls.items():
            refused("ExpiredTokenException", getattr(serving.aws.client(service), call))
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            serving.invoke(name)

    assert serving.invoke(name).release == "one"


@pytest.mark.starts_processes
def test_the_command_line_switches_faults_on_and_off(serving: Serving) -> None:
    def fault(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local_aws", "fault", *words]
        return subprocess.run(
            command, env=os.environ | serving.aws.environ, capture_output=True, text=True, timeout=60
        )

    shown = fault("slow", "--endpoint", "digits", "--fleet", "new", "--amount", "5").stdout
    senseless = fault("slow", "--endpoint", "digits")
    (on,) = [fault for fault in serving.aws.status()["faults"] if fault["endpoint"] == "digits"]

    assert (on["kind"], on["fleet"], on["amount"]) == ("slow", "new", 5)
    assert on["id"] in shown
    assert (senseless.returncode, "amount" in senseless.stderr) == (2, True)
    assert on["id"] not in fault("off", on["id"]).stdout
    assert fault("off", "nope").returncode == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "earthquake"},
        {"kind": "slow"},
        {"kind": "hang", "amount": 3},
        {"kind": "hang", "fleet": "blue"},
        {"kind": "hang", "operation": "UpdateEndpoint"},
        {"kind": "throttle", "endpoint": "digits"},
        {"kind": "late-metrics"},
        {"kind": "late-metrics", "amount": 60, "times": 1},
        {"kind": "finding", "vulnerability": "CVE-1"},
        {"kind": "finding", "vulnerability": "CVE-1", "severity": "HIGH", "times": 1},
        {"kind": "slow", "amount": 5, "severity": "HIGH"},
        {"kind": "crash", "times": 0},
        {"kind": "crash", "speed": 1},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        Faults().switch_on(fault)
