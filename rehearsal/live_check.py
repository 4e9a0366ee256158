"""The final check: it asks the live endpoints themselves, not the steps that changed them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

import golden
from golden.live_endpoint import invoke
from rehearsal.errors import RehearsalError

CALLS = 20
SUCCESS = 200  # SageMaker's status for every success of a container


@dataclass(frozen=True)
class LiveEndpoint:
    """One environment as its clients and its autoscaler see it."""

    environment: str
    endpoint: str
    release: str
    instances: int
    policy_target: float | None


def check_live_endpoint(
    environment: str, deployed: Mapping[str, Any], golden_file: Path, environ: Mapping[str, str]
) -> LiveEndpoint:
    """Invoke the endpoint CALLS times, and read its scaling policy from Application Auto Scaling.

    `deployed` is the result of the environment's deploy step. The golden cases that are answered with a success are
    sent. Raises RehearsalError when another release answers, or an answer is not the golden one.
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
    golden_set = read_answered(golden_file)
    instances = {answering_instance(runtime, endpoint, release, golden_set, call) for call in range(CALLS)}
    described = session.client("application-autoscaling", endpoint_url=url).describe_scaling_policies(
        ServiceNamespace="sagemaker"
    )
    targets = [
        policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for policy in described["ScalingPolicies"]
        if policy["ResourceId"].startswith(f"endpoint/{endpoint}/")
    ]
    return LiveEndpoint(environment, endpoint, release, len(instances), targets[0] if targets else None)


def read_answered(golden_file: Path) -> golden.GoldenSet:
    """Read the cases that are answered with a success. Raises RehearsalError."""
    try:
        golden_set = golden.read(golden_file)
    except golden.GoldenError as error:
        raise RehearsalError(error.what, fix=error.fix) from error
    if not golden_set.answered:
        raise RehearsalError(
            f"No golden case of {golden_file} is answered with a success.",
            fix="Record one that is: python -m golden record.",
        )
    return golden.GoldenSet(golden_set.answered, golden_set.digest)


def answering_instance(
    runtime: Any, endpoint: str, release: str, golden_set: golden.GoldenSet, call: int
) -> str:
    """Send one golden request, check release and answer, and return the instance that answered."""
    case = golden_set.case(call)
    reply = invoke(runtime, endpoint, case.request)
    identity: dict[str, str] = dict(pair.split("=", 1) for pair in reply.attributes.split(";") if "=" in pair)
    answer = reply.message
    if answer.status == SUCCESS:
        answer = replace(answer, status=case.expected.status)
        if identity.get("release") != release:
            raise RehearsalError(
                f"{endpoint} is answered by release {identity.get('release')}, not by {release}.",
                fix="The deployment had no effect; read the log of its deploy step.",
            )
    difference = golden.first_difference(case, answer)
    if difference is not None:
        raise RehearsalError(
            f"{endpoint} answers wrongly: {golden_set.label(call)}: {difference}.",
            fix="The live weights are not those of this release; read the log of its deploy step.",
        )
    return identity["instance"]
