"""An endpoint of the local AWS with a scaling policy, a Locust that loads it, and a second release."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import local_aws
from local_aws.testing import CONTRACT_SERVER, wait_until

ROOT = Path(__file__).parents[2]
ENDPOINT = "digits-staging"
VARIANT = "AllTraffic"
BOUND_SECONDS = 60.0
SERVER = shlex.join(CONTRACT_SERVER)
TARGET = 600.0  # invocations per instance and minute: 10/s


@dataclass
class ScaledEndpoint:
    """An endpoint under load. `url` is of Locust's web page."""

    aws: local_aws.Running
    url: str

    def load(self, users: int, endpoint: str = ENDPOINT) -> None:
        """Set the number of users of that endpoint; each sends one request a second."""
        fields = {"user_count": users, "spawn_rate": users, "endpoint": endpoint}
        form = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"{self.url}/swarm", form, timeout=20) as answer:
            assert json.load(answer)["success"]

    def deploy(self, release: str) -> None:
        """Begin to deploy another release, by a canary of half the fleet."""
        config = self._config(release)
        policy = {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                "WaitIntervalInSeconds": 300,
            },
            "TerminationWaitInSeconds": 60,
        }
        self.aws.client("sagemaker").update_endpoint(
            EndpointName=ENDPOINT,
            EndpointConfigName=config,
            DeploymentConfig={"BlueGreenUpdatePolicy": policy},
            RetainAllVariantProperties=True,
        )

    def status(self) -> str:
        described = self.aws.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
        return str(described["EndpointStatus"])

    def create(self) -> None:
        """Create the endpoint, one instance of `r1`, and let it scale from 1 to 4."""
        config = self._config("r1")
        self.aws.client("sagemaker").create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=config)
        wait_until(lambda: self.status() == "InService", f"{ENDPOINT} InService", BOUND_SECONDS)
        scaling = self.aws.client("application-autoscaling")
        variant = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{ENDPOINT}/variant/{VARIANT}",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }
        scaling.register_scalable_target(**variant, MinCapacity=1, MaxCapacity=4)
        metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        scaling.put_scaling_policy(
            PolicyName="hold", PolicyType="TargetTrackingScaling", **variant,
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": TARGET, "PredefinedMetricSpecification": metric,
                "ScaleOutCooldown": 60, "ScaleInCooldown": 60,
            },
        )  # fmt: skip

    def _config(self, release: str) -> str:
        sagemaker, name = self.aws.client("sagemaker"), f"{ENDPOINT}-{release}"
        container = {"Image": "digits:here", "Environment": {"RELEASE": release}}
        role = "arn:aws:iam::123456789012:role/sagemaker"
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
        variant = {"VariantName": VARIANT, "ModelName": name, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
        )
        return name


@contextmanager
def scaled_endpoint(folder: Path) -> Iterator[ScaledEndpoint]:
    """Start the AWS, the endpoint and Locust, without load; all of it ends with the block.

    No answer is compared with the golden one, since the server echoes its requests.
    """
    with (
        local_aws.start(
            instances="process", process_command=SERVER, time_scale=30, cpu_scale=1, alarm_poll_seconds=0.1
        ) as aws,
        locust(aws, folder) as url,
    ):
        started = ScaledEndpoint(aws, url)
        started.create()
        yield started


@contextmanager
def locust(aws: local_aws.Running, folder: Path) -> Iterator[str]:
    """Start Locust's web page on a free port of 127.0.0.1; yield its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "locust", "-f", "load_tests/locustfile.py", "--web-port", str(port)]
    command += ["--endpoint", ENDPOINT, "--check-every", "0"]
    log = folder / "locust.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **aws.environ}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(
            lambda: re.search("Starting web interface", log.read_text()),
            f"web page of Locust (its log: {log})",
            BOUND_SECONDS,
        )
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)
