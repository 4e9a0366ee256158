"""The final check: it asks the live endpoints themselves, not the steps that changed them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from rehearsal.errors import RehearsalError

CALLS = 20


@dataclass(frozen=True)
class LiveEndpoint:
    """One environment as its clients and its autoscaler see it."""

    environment: str
    endpoint: str
    release: str
    instances: int
    policy_target: float | None


def check_live_endpoint(
    environment: str, deployed: Mapping[str, Any], golden: Path, environ: Mapping[str, str]
) -> LiveEndpoint:
    """Invoke the endpoint CALLS times, and read its scaling policy from Application Auto Scaling.

    `deployed` is the result of the environment's deploy step. Raises RehearsalError when another
    release answers, or an answer is not the golden one.
    """
    endpoint, release = deployed["endpoint"], deployed["release"]
    session = boto3.Session(
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        region_name=environ["AWS_DEFAULT_REGION"],
    )
    url = environ["AWS_ENDPOINT_URL"]
    once = Config(retries={"total_max_attempts": 1})
    runtime = session.client("sagemaker-runtime", endpoint_url=url, config=once)
    cases = json.loads(golden.read_text())
    instances = {_answering_instance(runtime, endpoint, release, cases, call) for call in range(CALLS)}
    described = session.client("application-autoscaling", endpoint_url=url).describe_scaling_policies(
        ServiceNamespace="sagemaker"
    )
    targets = [
        policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for policy in described["ScalingPolicies"]
        if policy["ResourceId"].startswith(f"endpoint/{endpoint}/")
    ]
    return LiveEndpoint(environment, endpoint, release, len(instances), targets[0] if targets else None)


def _answering_instance(
    runtime: Any, endpoint: str, release: str, golden: Mapping[str, Any], call: int
) -> str:
    """Send one golden case, check release and label of the answer, and return the instance that answered."""
    case = golden["cases"][call % len(golden["cases"])]
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint,
        ContentType="application/json",
        Body=json.dumps({"instances": [case["instance"]]}),
    )
    identity: dict[str, str] = dict(pair.split("=", 1) for pair in answer["CustomAttributes"].split(";"))
    label = json.loads(answer["Body"].read())["predictions"][0]["label"]
    if identity["release"] != release:
        raise RehearsalError(
            f"{endpoint} is answered by release {identity['release']}, not by {release}.",
            fix="The deployment had no effect; read the log of its deploy step.",
        )
    if label != case["prediction"]["label"]:
        raise RehearsalError(
            f"{endpoint} predicts {label} for golden case {call % len(golden['cases'])}, not {case['prediction']['label']}.",
            fix="The live weights are not those of this release; read the log of its deploy step.",
        )
    return identity["instance"]
