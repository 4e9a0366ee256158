"""The checks before a deployment: one pure function for each, of data that was read from AWS.

Each yields its problems with their fixes.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipeline.autoscaling.policy_checks import ineffective_policies
from pipeline.config import Environment
from pipeline.deployment.plan import CHANGEABLE
from pipeline.model import Model
from pipeline.publishing.digests import is_same
from pipeline.release import Release

SAGEMAKER = "sagemaker.amazonaws.com"


class Problem(Model):
    """One problem that would stop the deployment, and its fix."""

    what: str
    fix: str


def check_role(env: Environment, role: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Check that the execution role exists, and that SageMaker may assume it. `role`: as GetRole describes it."""
    name = env.aws.execution_role
    if role is None:
        yield Problem(what=f"There is no role {name}.", fix=_bootstrap(env))
        return
    document = role["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    if not any(map(_lets_sagemaker_in, [statements] if isinstance(statements, dict) else statements)):
        yield Problem(
            what=f"Role {name} cannot be passed: its trust policy does not let {SAGEMAKER} assume it.",
            fix="Add that service to the trust policy, or name another role in aws.execution_role.",
        )


def _lets_sagemaker_in(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, Mapping) else []
    actions = statement.get("Action", [])
    return (
        statement.get("Effect") == "Allow"
        and SAGEMAKER in ([services] if isinstance(services, str) else services)
        and "sts:AssumeRole" in ([actions] if isinstance(actions, str) else actions)
    )


def principal_of(caller: str) -> str:
    """Return the principal of these credentials: of an assumed role `role/NAME`, else the ARN.

    A role's ARN has a path that the session's ARN lacks: IAM must be asked for it.
    """
    parts = caller.split(":", 5)
    kind, _, rest = parts[-1].partition("/")
    if kind == "assumed-role":
        return f"role/{rest.partition('/')[0]}"
    return ":".join([*parts[:2], "iam", *parts[3:]])


def check_pass_role(env: Environment, caller: str, decision: str | None) -> Iterator[Problem]:
    """Check that these credentials may pass the execution role to SageMaker.

    `decision`: of IAM's simulation; None: the caller is the account's root, who may.
    """
    if decision not in {None, "allowed"}:
        yield Problem(
            what=f"{caller} may not pass role {env.aws.execution_role} to SageMaker: {decision}.",
            fix=f"Allow it iam:PassRole on {env.aws.execution_role_arn} with iam:PassedToService "
            f"{SAGEMAKER} (`bootstrap --github-repo` makes a role that has it).",
        )


def check_bucket(env: Environment, head: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Check that the bucket of the config exists, in the endpoint's Region. `head`: as HeadBucket answers."""
    found = (head or {}).get("BucketRegion") or env.aws.region
    if head is None:
        yield Problem(
            what=f"There is no bucket {env.aws.bucket}.", fix=f"Correct aws.bucket. {_bootstrap(env)}"
        )
    elif found != env.aws.region:
        what = f"Bucket {env.aws.bucket} is in {found}, the endpoint in {env.aws.region}."
        yield Problem(what=what, fix="Name a bucket of that Region in aws.bucket.")


def check_weights(release: Release, head: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Check that the weights are the published ones. `head`: as HeadObject answers with ChecksumMode."""
    uri = release.weights.uri
    if head is None:
        yield Problem(what=f"There is no object {uri}.", fix="Publish the weights again.")
        return
    alone = base64.b64encode(bytes.fromhex(release.weights.sha256)).decode()
    wanted = release.weights.checksum or alone
    if not is_same(head.get("ChecksumSHA256"), wanted):
        yield Problem(
            what=f"{uri} has SHA-256 {head.get('ChecksumSHA256', 'of no record')}, not {wanted}.",
            fix="Restore the object from the bucket's versions; publish replaces none that is there.",
        )


def check_readable(env: Environment, release: Release, decision: str | None) -> Iterator[Problem]:
    """Check that the execution role may read the weights. `decision`: of IAM's simulation, by the role's own policies.

    None: there is no role, which is a problem of its own.
    """
    if decision not in {None, "allowed"}:
        yield Problem(
            what=f"Role {env.aws.execution_role} may not read {release.weights.uri}: {decision}.",
            fix="Allow it s3:GetObject there by a policy of its own (`bootstrap` makes a role that has it).",
        )


def check_status(
    env: Environment, described: Mapping[str, Any] | None, coming: str | None
) -> Iterator[Problem]:
    """Check that the endpoint can be changed now, or is changing to `coming`, the config of this release."""
    status = described["EndpointStatus"] if described else None
    pending = ((described or {}).get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
    if status == "Creating" and described:
        pending = described["EndpointConfigName"]
    if status in CHANGEABLE | {None, "Failed"} or pending == coming:
        return
    yield Problem(
        what=f"Endpoint {env.endpoint.name} is {status}, on its way to {pending or 'nothing'}.",
        fix=f"Wait until it is InService: python -m pipeline status --env {env.name}",
    )


def check_variant(env: Environment, live: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Check that the live config has the variant of this environment, and only it. `live`: that config."""
    names = [variant["VariantName"] for variant in (live or {}).get("ProductionVariants", [])]
    if names and names != [env.endpoint.variant]:
        yield Problem(
            what=f"{env.endpoint.name} has variants {names}; the config's is {env.endpoint.variant}, and a "
            "deployment keeps the names.",
            fix="Name the live variant in endpoint.variant, or delete the endpoint.",
        )


def check_fleet(env: Environment, instances: int) -> Iterator[Problem]:
    """Check that a fleet of this size, which the update keeps, can be deployed to in parts and in time."""
    deployment = env.deployment
    if deployment.parts_the_fleet and instances < 2:
        yield Problem(
            what=f"{env.endpoint.name} has {instances} instance; a part of a {deployment.strategy} "
            "deployment is at most half of the fleet.",
            fix="Scale it to two instances, or set deployment.strategy to all_at_once.",
        )
    waits = deployment.waits_seconds(instances)
    if waits >= deployment.maximum_execution_seconds:
        yield Problem(
            what=f"With {instances} instances the waits of a {deployment.strategy} deployment are {waits} s; "
            f"deployment.maximum_execution_seconds is {deployment.maximum_execution_seconds}.",
            fix="Shorten deployment.bake_seconds, or raise maximum_execution_seconds (at most 28800).",
        )


def check_alarms(env: Environment, states: Mapping[str, str]) -> Iterator[Problem]:
    """Check that the alarms in `alarms.named` exist and are quiet. `states`: of those that AWS has."""
    for name in env.alarms.named:
        state = states.get(name)
        if state is None:
            yield Problem(what=f"There is no alarm {name}.", fix="Create it, or remove it from alarms.named.")
        elif state == "ALARM":
            yield Problem(
                what=f"Alarm {name} is in ALARM: it would roll the deployment back at once.",
                fix="Correct its cause and wait until it is OK, or remove it from alarms.named.",
            )


def check_quota(
    env: Environment, instances: int, live_type: str | None, quota: float | None
) -> Iterator[Problem]:
    """Check that both fleets fit into the account's quota of the instance type; other endpoints are not counted."""
    kind = env.endpoint.instance_type
    if quota is None:
        yield Problem(
            what=f"The account has no quota for {kind} endpoints.",
            fix="Is the type spelt right, and offered in this region? Else request a quota for it.",
        )
        return
    needed = env.deployment.both_fleets(instances) if live_type == kind else instances
    if needed > quota:
        yield Problem(
            what=f"The deployment has {needed} instances of {kind} at its height; the quota is {quota:g}.",
            fix=f"Request a higher quota '{kind} for endpoint usage', or deploy in rolling batches.",
        )


def check_network(env: Environment, vpcs: Mapping[str, str]) -> Iterator[Problem]:
    """Check that the subnets and security groups exist, in one VPC. `vpcs`: the VPC of each that AWS knows."""
    if env.endpoint.vpc is None:
        return
    named = (*env.endpoint.vpc.subnets, *env.endpoint.vpc.security_groups)
    for name in named:
        if name not in vpcs:
            yield Problem(
                what=f"There is no {name} in {env.aws.region}.",
                fix="Correct endpoint.vpc; is it of another region or account?",
            )
    if len({vpcs[name] for name in named if name in vpcs}) > 1:
        yield Problem(
            what=f"endpoint.vpc is of several VPCs: {', '.join(f'{name} of {vpcs[name]}' for name in vpcs)}.",
            fix="Name subnets and security groups of one VPC.",
        )


def check_keys(states: Mapping[str, str | None]) -> Iterator[Problem]:
    """Check that the encryption keys are enabled. `states`: KMS's; None: there is no such key."""
    for key, state in states.items():
        if state != "Enabled":
            yield Problem(
                what=f"Key {key} is {state or 'not there'}.",
                fix="Enable it, or name another one in endpoint.kms_key or data_capture.kms_key.",
            )


def check_scaling(env: Environment, is_known: Callable[[str, str], bool]) -> Iterator[Problem]:
    """Check that every scaling policy of the config can act; a measured target is not known yet."""
    target = env.autoscaling.target
    for why in ineffective_policies(env, None if target == "measured" else target, is_known):
        yield Problem(
            what=f"{why}.", fix="Correct autoscaling in the config: AWS would accept it without an error."
        )


def _bootstrap(env: Environment) -> str:
    return f"Run `python -m pipeline bootstrap --env {env.name}`."
