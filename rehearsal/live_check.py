"""The final check: it asks the live endpoints themselves, not the steps that changed them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

import golden
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
    golden_set = _read(golden_file)
    instances = {_answering_instance(runtime, endpoint, release, golden_set, call) for call in range(CALLS)}
    described = session.client("application-autoscaling", endpoint_url=url).describe_scaling_policies(
        ServiceNamespace="sagemaker"
    )
    targets = [
        policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        for policy in described["ScalingPolicies"]
        if policy["ResourceId"].startswith(f"endpoint/{endpoint}/")
    ]
    return LiveEndpoint(environment, endpoint, release, len(instances), targets[0] if targets else None)


def _read(golden_file: Path) -> golden.GoldenSet:
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


def _answering_instance(
    runtime: Any, endpoint: str, release: str, golden_set: golden.GoldenSet, call: int
) -> str:
    """Send one golden request, check release and answer, and return the instance that answered."""
    case = golden_set.case(call)
    response, body = _ask(runtime, endpoint, case.request)
    identity: dict[str, str] = dict(pair.split("=", 1) for pair in response["CustomAttributes"].split(";"))
    if identity["release"] != release:
        raise RehearsalError(
            f"{endpoint} is answered by release {identity['release']}, not by {release}.",
            fix="The deployment had no effect; read the log of its deploy step.",
        )
    # SageMaker answers 200 for every success of a container.
    answer = golden.Answer(case.expected.status, response.get("ContentType", ""), body)
    difference = golden.first_difference(case, answer)
    if difference is not None:
        raise RehearsalError(
            f"{endpoint} answers wrongly: {golden_set.label(call)}: {difference}.",
            fix="The live weights are not those of this release; read the log of its deploy step.",
        )
    return identity["instance"]


def _ask(runtime: Any, endpoint: str, request: golden.Request) -> tuple[Mapping[str, Any], bytes]:
    """Send a request; return boto3's response and the whole body, the parts of a stream joined."""
    words = {"EndpointName": endpoint, "ContentType": request.content_type, "Body": request.body}
    words |= {"Accept": request.accept} if request.accept else {}
    words |= {"CustomAttributes": request.custom_attributes} if request.custom_attributes else {}
    if not request.is_stream:
        response = runtime.invoke_endpoint(**words)
        return response, response["Body"].read()
    response = runtime.invoke_endpoint_with_response_stream(**words)
    return response, b"".join(event["PayloadPart"]["Bytes"] for event in response["Body"])
