"""Find all problems of a deployment before its long wait, each with its fix. Makes no write."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.autoscaling.autoscale import is_known
from pipeline.aws.s3_objects import object_at
from pipeline.deployment.plan import config_name
from pipeline.errors import AwsRefused, PreflightFailed
from pipeline.model import Model
from pipeline.preflight import checks, image_checks
from pipeline.preflight.checks import Problem
from pipeline.preflight.github import github_checks
from pipeline.release import Release
from pipeline.run import Run

log = logging.getLogger(__name__)

PASSED_TO_SAGEMAKER = {
    "ContextKeyName": "iam:PassedToService",
    "ContextKeyValues": [checks.SAGEMAKER],
    "ContextKeyType": "string",
}


class PreflightResult(Model):
    """The checks that were made, and the problems by check; none when the deployment may begin."""

    release: str
    environment: str
    checked: tuple[str, ...]
    problems: dict[str, tuple[Problem, ...]]


@dataclass(frozen=True)
class PreflightSnapshot:
    """The state of everything that a deployment needs, each thing read once. Raises AwsRefused where reading is denied."""

    release: Release
    run: Run

    @cached_property
    def role(self) -> Mapping[str, Any] | None:
        found = self.run.aws.find("iam", "get_role", RoleName=self.run.env.aws.execution_role)
        return found["Role"] if found else None

    @cached_property
    def passes_role(self) -> str | None:
        """Return IAM's decision whether the caller may pass the execution role; None: the caller is root."""
        source = checks.principal_of(self.run.aws.caller_arn())
        if source.endswith(":root"):
            return None
        if source.startswith("role/"):
            name = source.removeprefix("role/")
            source = str(self.run.aws.read("iam", "get_role", RoleName=name)["Role"]["Arn"])
        answer = self.run.aws.read(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=source,
            ActionNames=["iam:PassRole"],
            ResourceArns=[self.run.env.aws.execution_role_arn],
            ContextEntries=[PASSED_TO_SAGEMAKER],
        )
        return str(answer["EvaluationResults"][0]["EvalDecision"])

    @cached_property
    def reads_weights(self) -> str | None:
        """Return IAM's decision whether the execution role may read the weights; None without such a role."""
        if self.role is None:
            return None
        uri = self.release.weights.uri.removeprefix("s3://")
        answer = self.run.aws.read(
            "iam",
            "simulate_principal_policy",
            PolicySourceArn=self.role["Arn"],
            ActionNames=["s3:GetObject"],
            ResourceArns=[f"arn:aws:s3:::{uri}"],
        )
        return str(answer["EvaluationResults"][0]["EvalDecision"])

    @cached_property
    def image(self) -> Mapping[str, Any] | None:
        if self.release.image.is_source_hash:
            return None
        which = {"repositoryName": self.run.env.aws.repository}
        digest = [{"imageDigest": self.release.image.digest}]
        found = self.run.aws.find("ecr", "describe_images", **which, imageIds=digest)
        return next(iter(found["imageDetails"]), None) if found else None

    @cached_property
    def bucket(self) -> Mapping[str, Any] | None:
        return self.run.aws.find("s3", "head_bucket", Bucket=self.run.env.aws.bucket)

    @cached_property
    def weights(self) -> Mapping[str, Any] | None:
        where = object_at(self.release.weights.uri)
        return self.run.aws.find("s3", "head_object", **where, ChecksumMode="ENABLED")

    @cached_property
    def endpoint(self) -> dict[str, Any] | None:
        return self.run.aws.describe_endpoint(self.run.env.endpoint.name)

    @cached_property
    def live_config(self) -> Mapping[str, Any] | None:
        if self.endpoint is None:
            return None
        name = self.endpoint["EndpointConfigName"]
        return self.run.aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name)

    @property
    def live_type(self) -> str | None:
        variants = (self.live_config or {}).get("ProductionVariants", [])
        return next((each.get("InstanceType") for each in variants), None)

    @property
    def instances(self) -> int:
        """Return the size of the next fleet: an update keeps the live one's."""
        variants = (self.endpoint or {}).get("ProductionVariants", [])
        live = sum(each.get("DesiredInstanceCount", 0) for each in variants)
        return live or self.run.env.endpoint.initial_instances

    @cached_property
    def alarms(self) -> Mapping[str, str]:
        found = self.run.aws.alarms(names=self.run.env.alarms.named)
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}

    @cached_property
    def vpcs(self) -> Mapping[str, str]:
        """Return the VPC of each subnet and security group of the config that AWS knows."""
        vpc = self.run.env.endpoint.vpc
        if vpc is None:
            return {}
        subnets = [{"Name": "subnet-id", "Values": [*vpc.subnets]}]
        groups = [{"Name": "group-id", "Values": [*vpc.security_groups]}]
        found = self.run.aws.read("ec2", "describe_subnets", Filters=subnets)["Subnets"]
        within = self.run.aws.read("ec2", "describe_security_groups", Filters=groups)["SecurityGroups"]
        return {each["SubnetId"]: each["VpcId"] for each in found} | {
            each["GroupId"]: each["VpcId"] for each in within
        }

    @cached_property
    def keys(self) -> Mapping[str, str | None]:
        """Return the state of each KMS key of the config; None: there is no such key."""
        capture = self.run.env.endpoint.data_capture
        wanted = [self.run.env.endpoint.kms_key, capture.kms_key if capture else None]
        found = {
            key: self.run.aws.find("kms", "describe_key", KeyId=key) for key in wanted if key is not None
        }
        return {key: each["KeyMetadata"]["KeyState"] if each else None for key, each in found.items()}

    @cached_property
    def quota(self) -> float | None:
        wanted = f"{self.run.env.endpoint.instance_type} for endpoint usage"
        listed = self.run.aws.pages(
            "service-quotas", "list_service_quotas", "Quotas", ServiceCode="sagemaker"
        )
        return next((float(each["Value"]) for each in listed if each["QuotaName"] == wanted), None)


CHECKS: Mapping[str, Callable[[PreflightSnapshot], Iterator[Problem]]] = {
    "execution role": lambda s: checks.check_role(s.run.env, s.role),
    "pass role": lambda s: checks.check_pass_role(s.run.env, s.run.aws.caller_arn(), s.passes_role),
    "bucket": lambda s: checks.check_bucket(s.run.env, s.bucket),
    "image": lambda s: image_checks.check_image(s.run.env, s.release.image, s.image),
    "processor": lambda s: image_checks.check_processor(s.run.env, s.release.image),
    "GPU": lambda s: image_checks.check_gpu(s.run.env, s.release.image),
    "weights": lambda s: checks.check_weights(s.release, s.weights),
    "weights of the role": lambda s: checks.check_readable(s.run.env, s.release, s.reads_weights),
    "endpoint": lambda s: checks.check_status(s.run.env, s.endpoint, config_name(s.release, s.run.env)),
    "variant": lambda s: checks.check_variant(s.run.env, s.live_config),
    "fleet": lambda s: checks.check_fleet(s.run.env, s.instances),
    "network": lambda s: checks.check_network(s.run.env, s.vpcs),
    "keys": lambda s: checks.check_keys(s.keys),
    "alarms": lambda s: checks.check_alarms(s.run.env, s.alarms),
    "scaling": lambda s: checks.check_scaling(s.run.env, lambda *metric: is_known(s.run, *metric)),
    "quota": lambda s: checks.check_quota(s.run.env, s.instances, s.live_type, s.quota),
}


def inspect(snapshot: PreflightSnapshot) -> PreflightResult:
    """Make every check. One that is denied is a problem too."""
    every = {**CHECKS, **github_checks(snapshot.run.env, os.environ)}
    problems = {name: tuple(_problems(check, snapshot)) for name, check in every.items()}
    return PreflightResult(
        release=snapshot.release.id,
        environment=snapshot.run.env.name,
        checked=("account", *every),
        problems={name: found for name, found in problems.items() if found},
    )


def _problems(
    check: Callable[[PreflightSnapshot], Iterator[Problem]], snapshot: PreflightSnapshot
) -> Iterator[Problem]:
    try:
        yield from check(snapshot)
    except AwsRefused as error:
        yield Problem(what=f"This could not be checked: {error.what}", fix=error.fix)


def require_clear(result: PreflightResult) -> PreflightResult:
    """Log the result of every check. Raises PreflightFailed with all problems."""
    for name in result.checked:
        log.info(f"{'!' if name in result.problems else '✓'} {name}")
    lines = [
        f"{name}: {each.what}\n  fix: {each.fix}" for name, found in result.problems.items() for each in found
    ]
    if lines:
        counted = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
        raise PreflightFailed(
            f"{counted} of {result.release} in {result.environment}:\n" + "\n".join(lines),
            fix=f"Solve them, then run `python -m pipeline preflight --env {result.environment}` again.",
        )
    log.info(f"{result.release} can be deployed to {result.environment}")
    return result
