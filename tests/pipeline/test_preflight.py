"""Everything that would stop a deployment is named before it begins, all of it at once, with its fix."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import local_aws
from pipeline.account.bootstrap import bootstrap, trust_policy
from pipeline.autoscaling.autoscale import autoscale
from pipeline.config import Environment, Vpc
from pipeline.deployment.deploy import deploy
from pipeline.deployment.plan import config_name, deployment_config
from pipeline.errors import PreflightFailed
from pipeline.preflight.checks import (
    Problem,
    check_alarms,
    check_bucket,
    check_fleet,
    check_keys,
    check_network,
    check_pass_role,
    check_quota,
    check_readable,
    check_role,
    check_status,
    check_variant,
    check_weights,
    principal_of,
)
from pipeline.preflight.image_checks import check_gpu, check_image, check_processor
from pipeline.preflight.preflight import CHECKS, PreflightSnapshot, inspect, require_clear
from pipeline.publishing.publish import publish
from pipeline.publishing.pushed_images import DOCKER_MANIFEST
from pipeline.release import Release
from pipeline.run import Run
from tests.pipeline.scene import contract_cloud, name_for, published

MakeEnv = Callable[..., Environment]


def only(problems: Iterator[Problem]) -> Problem:
    (problem,) = problems
    assert problem.fix
    return problem


def test_a_role_that_sagemaker_may_take_is_fine(env: Environment) -> None:
    assert not [*check_role(env, {"AssumeRolePolicyDocument": trust_policy()})]


def test_a_missing_role_is_made_by_bootstrap(env: Environment) -> None:
    assert "bootstrap --env staging" in only(check_role(env, None)).fix


@pytest.mark.parametrize(
    "change",
    [{"Effect": "Deny"}, {"Principal": {"Service": "lambda.amazonaws.com"}}, {"Action": "sts:TagSession"}],
)
def test_a_role_that_sagemaker_may_not_take_is_named(env: Environment, change: dict[str, Any]) -> None:
    (statement,) = trust_policy()["Statement"]
    role = {"AssumeRolePolicyDocument": {"Statement": [{**statement, **change}]}}

    assert "cannot be passed" in only(check_role(env, role)).what


ROLE = "arn:aws:iam::123456789012:role/digits-sagemaker"


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        ("arn:aws:sts::123456789012:assumed-role/deploy-staging/GitHubActions", "role/deploy-staging"),
        ("arn:aws:iam::123456789012:user/team/me", "arn:aws:iam::123456789012:user/team/me"),
        ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root"),
    ],
)
def test_policies_are_those_of_the_role_behind_a_session(caller: str, principal: str) -> None:
    assert principal_of(caller) == principal


@pytest.mark.parametrize("decision", ["implicitDeny", "explicitDeny"])
def test_a_caller_who_may_not_pass_the_role_is_named(env: Environment, decision: str) -> None:
    problem = only(check_pass_role(env, "arn:aws:iam::1:user/me", decision))

    assert f"user/me may not pass role digits-sagemaker to SageMaker: {decision}" in problem.what
    assert f"iam:PassRole on {ROLE}" in problem.fix


def test_a_caller_who_may_pass_the_role_is_fine(env: Environment) -> None:
    assert not [*check_pass_role(env, "me", "allowed"), *check_pass_role(env, "root", None)]


def test_dockers_own_manifest_of_one_platform_is_fine(env: Environment, release: Release) -> None:
    assert not [*check_image(env, release.image, {"imageManifestMediaType": DOCKER_MANIFEST})]


def test_a_bucket_that_is_not_there_is_named(env: Environment) -> None:
    problem = only(check_bucket(env, None))

    assert problem.what == "There is no bucket digits-releases-123456789012."
    assert "bootstrap --env staging" in problem.fix


@pytest.mark.parametrize(("region", "count"), [("eu-west-1", 0), (None, 0), ("us-east-1", 1)])
def test_a_bucket_of_another_region_is_named(env: Environment, region: str | None, count: int) -> None:
    assert len([*check_bucket(env, {"BucketRegion": region})]) == count


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        None,
    ],
)
def test_any_other_manifest_is_refused(env: Environment, release: Release, kind: str | None) -> None:
    problem = only(check_image(env, release.image, {"imageManifestMediaType": kind}))

    assert "SageMaker does not take" in problem.what
    assert "schema 2" in problem.fix


def test_a_missing_image_is_named(env: Environment, release: Release) -> None:
    assert "not in ECR repository digits" in only(check_image(env, release.image, None)).what


def test_a_stand_in_needs_no_image(env: Environment, release: Release) -> None:
    assert not [*check_image(env, release.image.model_copy(update={"is_source_hash": True}), None)]


X86, GRAVITON, GPU = "ml.m5.large", "ml.c7g.large", "ml.g6.xlarge"
CUDA_13_AMI = "al2023-ami-sagemaker-inference-gpu-4-1"


@pytest.mark.parametrize(
    ("kind", "architecture", "is_fine"),
    [
        (X86, "amd64", True),
        (X86, "arm64", False),
        (GRAVITON, "arm64", True),
        (GRAVITON, "amd64", False),
        (GRAVITON, None, True),  # published by an earlier version
    ],
)
def test_an_image_for_another_processor_is_named(
    make_env: MakeEnv, release: Release, kind: str, architecture: str | None, is_fine: bool
) -> None:
    env = make_env(endpoint={"instance_type": kind})
    image = release.image.model_copy(update={"architecture": architecture})
    problems = [*check_processor(env, image)]

    assert (problems == []) == is_fine
    assert all(f"is built for {architecture}; {kind} runs" in each.what for each in problems)


@pytest.mark.parametrize(
    ("kind", "ami", "cuda", "says"),
    [
        (X86, None, None, None),
        (GPU, CUDA_13_AMI, "13.0", None),
        (GPU, None, None, "computes on the CPU alone"),
        (X86, None, "13.0", "has no GPU"),
        (GPU, None, "13.0", "needs NVIDIA's driver 580 or newer; ml.g6.xlarge with the default AMI has driver 535"),
        (GPU, "al2-ami-sagemaker-inference-gpu-3-1", "13.0", "gpu-3-1 has driver 550"),
        (GPU, "al2-ami-sagemaker-inference-gpu-3-1", "12.8", None),
        ("ml.g7e.2xlarge", None, "13.0", "no driver that AWS documents"),
    ],
)  # fmt: skip
def test_a_driver_that_does_not_run_the_images_cuda_is_named(
    make_env: MakeEnv, release: Release, kind: str, ami: str | None, cuda: str | None, says: str | None
) -> None:
    env = make_env(endpoint={"instance_type": kind, "inference_ami": ami})
    image = release.image.model_copy(update={"architecture": "amd64", "cuda": cuda})
    problems = [*check_gpu(env, image)]

    assert len(problems) == (says is not None)
    assert all(str(says) in each.what and each.fix for each in problems)
    if cuda and says and "driver" in says:
        assert problems[0].fix == f"Set endpoint.inference_ami to {CUDA_13_AMI}."


@pytest.mark.parametrize("decision", ["implicitDeny", "explicitDeny"])
def test_weights_that_the_role_may_not_read_are_named(
    env: Environment, release: Release, decision: str
) -> None:
    problem = only(check_readable(env, release, decision))

    assert problem.what == f"Role digits-sagemaker may not read {release.weights.uri}: {decision}."
    assert not [*check_readable(env, release, "allowed"), *check_readable(env, release, None)]


def test_the_published_weights_are_fine(release: Release) -> None:
    checksum = base64.b64encode(bytes.fromhex(release.weights.sha256)).decode()

    assert not [*check_weights(release, {"ChecksumSHA256": checksum})]


@pytest.mark.parametrize(
    ("head", "says"),
    [(None, "There is no object"), ({}, "of no record"), ({"ChecksumSHA256": "AAAA"}, "has SHA-256 AAAA")],
)
def test_other_weights_are_named(release: Release, head: dict[str, str] | None, says: str) -> None:
    assert says in only(check_weights(release, head)).what


@pytest.mark.parametrize("status", ["InService", "UpdateRollbackFailed", "Failed"])
def test_an_endpoint_that_can_be_changed_is_fine(env: Environment, status: str) -> None:
    assert not [*check_status(env, {"EndpointStatus": status, "EndpointConfigName": "old"}, "new")]
    assert not [*check_status(env, None, "new")]


def test_an_endpoint_on_its_way_to_this_release_is_fine(env: Environment) -> None:
    """A second run goes on where the first one stopped."""
    pending = {"PendingDeploymentSummary": {"EndpointConfigName": "new"}}
    updating = {"EndpointStatus": "Updating", "EndpointConfigName": "old", **pending}
    creating = {"EndpointStatus": "Creating", "EndpointConfigName": "new"}

    assert not [*check_status(env, updating, "new"), *check_status(env, creating, "new")]


@pytest.mark.parametrize("status", ["Updating", "RollingBack", "SystemUpdating", "Deleting", "Creating"])
def test_a_busy_endpoint_is_named(env: Environment, status: str) -> None:
    described = {"EndpointStatus": status, "EndpointConfigName": "other"}

    assert f"is {status}" in only(check_status(env, described, "new")).what


def variants(*names: str) -> dict[str, Any]:
    return {"ProductionVariants": [{"VariantName": name} for name in names]}


def test_the_variant_of_the_config_is_fine(env: Environment) -> None:
    assert not [*check_variant(env, variants("AllTraffic")), *check_variant(env, None)]


@pytest.mark.parametrize("names", [("blue",), ("AllTraffic", "other")])
def test_other_variants_are_named(env: Environment, names: tuple[str, ...]) -> None:
    assert str(list(names)) in only(check_variant(env, variants(*names))).what


def test_two_instances_can_be_parted(env: Environment) -> None:
    assert not [*check_fleet(env, 2)]


def test_one_instance_is_too_few_for_a_canary(env: Environment) -> None:
    """The config asks for two, but somebody has scaled the fleet by hand."""
    assert "at most half of the fleet" in only(check_fleet(env, 1)).what


def test_a_fleet_that_takes_too_long_in_steps_is_named(make_env: MakeEnv) -> None:
    slow = {"strategy": "linear", "linear_percent": 10, "bake_seconds": 600}
    env = make_env(deployment=slow)

    assert not [*check_fleet(env, 4)]
    assert "the waits of a linear deployment are 5460 s" in only(check_fleet(env, 10)).what


def test_alarms_that_are_named_must_be_there_and_quiet(make_env: MakeEnv) -> None:
    env = make_env(alarms={"named": ("calm", "loud", "gone")})
    loud, gone = check_alarms(env, {"calm": "OK", "loud": "ALARM"})

    assert "loud is in ALARM" in loud.what
    assert "no alarm gone" in gone.what


def test_alarms_that_are_named_roll_back_too(make_env: MakeEnv) -> None:
    given = deployment_config(make_env(alarms={"named": ("calm",)}), "config")["AutoRollbackConfiguration"]

    assert {"AlarmName": "calm"} in given["Alarms"]
    assert len(given["Alarms"]) == 5


@pytest.mark.parametrize(
    ("live_type", "quota", "is_enough"),
    [
        ("ml.m5.large", 8, True),
        ("ml.m5.large", 7, False),
        (None, 4, True),
        (None, 3, False),
        ("ml.c5.large", 4, True),
    ],
)
def test_both_fleets_must_fit_the_quota(
    env: Environment, live_type: str | None, quota: float, is_enough: bool
) -> None:
    assert (not [*check_quota(env, 4, live_type, quota)]) == is_enough


def test_a_type_without_a_quota_is_named(env: Environment) -> None:
    assert "no quota for ml.m5.large" in only(check_quota(env, 2, None, None)).what


@pytest.fixture(scope="module")
def cloud() -> Iterator[local_aws.Running]:
    with contract_cloud() as running:
        yield running


@pytest.fixture
def run(own_name: str, make_env: MakeEnv, tmp_path: Path) -> Run:
    """Return a run in an account without resources; bucket and role will be its own."""
    place = {"bucket": f"{own_name}-releases", "execution_role": f"{own_name}-role"}
    return Run.for_environment(make_env(name=own_name, endpoint={"name": own_name}, aws=place), tmp_path)


@pytest.mark.starts_processes
def test_what_is_published_into_a_bootstrapped_account_can_be_deployed(run: Run, tmp_path: Path) -> None:
    bootstrap(run)
    release = publish(run, weights=None, engine=False)
    run.aws.made.clear()
    result = require_clear(inspect(PreflightSnapshot(release, run)))

    assert result.problems == {}
    assert set(CHECKS) < set(result.checked)
    assert run.aws.made == []


@pytest.mark.starts_processes
def test_a_misspelt_bucket_is_found_before_the_deployment(run: Run, tmp_path: Path) -> None:
    """The weights of the release are in the right one."""
    bootstrap(run)
    release = publish(run, weights=None, engine=False)
    place = run.env.aws.model_copy(update={"bucket": f"{run.env.aws.bucket}s"})
    misspelt = run.in_environment(run.env.model_copy(update={"aws": place}))

    with pytest.raises(PreflightFailed, match=f"1 problem of .*\nbucket: There is no bucket {place.bucket}"):
        require_clear(inspect(PreflightSnapshot(release, misspelt)))


VPC = {"subnets": ["subnet-0a", "subnet-0b"], "security_groups": ["sg-0c"]}


@pytest.mark.parametrize(
    ("vpcs", "says"),
    [
        ({"subnet-0a": "vpc-1", "subnet-0b": "vpc-1", "sg-0c": "vpc-1"}, []),
        ({"subnet-0a": "vpc-1", "sg-0c": "vpc-1"}, ["no subnet-0b in eu-west-1"]),
        ({"subnet-0a": "vpc-1", "subnet-0b": "vpc-2", "sg-0c": "vpc-1"}, ["of several VPCs"]),
    ],
)
def test_the_network_must_be_there_and_be_one(
    make_env: MakeEnv, vpcs: dict[str, str], says: list[str]
) -> None:
    found = [*check_network(make_env(endpoint={"vpc": VPC}), vpcs)]

    assert len(found) == len(says)
    assert all(text in problem.what for text, problem in zip(says, found, strict=True))


def test_a_key_that_cannot_be_used_is_named() -> None:
    disabled, gone = check_keys({"alias/a": "Enabled", "alias/b": "Disabled", "alias/c": None})

    assert "alias/b is Disabled" in disabled.what
    assert "alias/c is not there" in gone.what


@pytest.mark.starts_processes
def test_network_and_keys_are_looked_up(run: Run, release: Release) -> None:
    vpc = run.aws.read("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = run.aws.read("ec2", "create_subnet", VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = run.aws.read("ec2", "create_security_group", GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    key = run.aws.read("kms", "create_key")["KeyMetadata"]["KeyId"]

    def found(subnets: list[str], kms_key: str) -> set[str]:
        inside = Vpc(subnets=tuple(subnets), security_groups=(group,))
        endpoint = run.env.endpoint.model_copy(update={"vpc": inside, "kms_key": kms_key})
        env = run.env.model_copy(update={"endpoint": endpoint})
        return set(inspect(PreflightSnapshot(release, run.in_environment(env))).problems) & {
            "network",
            "keys",
        }

    assert found([subnet], key) == set()
    assert found([subnet, "subnet-0a"], "alias/none") == {"network", "keys"}


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("statements", "is_allowed"),
    [
        ([{"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}], False),
        ([{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}], True),
        (
            [
                {
                    "Effect": "Allow",
                    "Action": "iam:PassRole",
                    "Resource": "arn:aws:iam::123456789012:role/other",
                }
            ],
            False,
        ),
    ],
)
def test_the_role_of_the_session_decides_whether_the_role_may_be_passed(
    run: Run,
    release: Release,
    statements: list[dict[str, Any]],
    is_allowed: bool,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """As in a workflow: the credentials are a session of a role, which IAM knows under a path."""
    name = f"caller-{name_for(request.node.name)}"
    trust = {"Version": "2012-10-17", "Statement": []}
    made = run.aws.read(
        "iam", "create_role", RoleName=name, Path="/github/", AssumeRolePolicyDocument=json.dumps(trust)
    )
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    run.aws.read("iam", "put_role_policy", RoleName=name, PolicyName="own", PolicyDocument=document)
    session = run.aws.read("sts", "assume_role", RoleArn=made["Role"]["Arn"], RoleSessionName="run")[
        "Credentials"
    ]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials that it was made with
    found = inspect(PreflightSnapshot(release, run.in_environment(run.env))).problems

    assert ("pass role" not in found) is is_allowed


@pytest.mark.starts_processes
def test_a_live_fleet_is_looked_at(run: Run, make_env: MakeEnv, tmp_path: Path) -> None:
    """The next fleet keeps the live one's size, and is checked against what is live."""
    bootstrap(run)
    release = published(run, tmp_path, "one")
    deploy(release, run)
    autoscale(run, None)
    given = run.env.model_dump()
    other = make_env(
        **{**given, "endpoint": {**given["endpoint"], "variant": "blue", "instance_type": "ml.m5.xlarge"}}
    )
    scaled = make_env(**{**given, "endpoint": {**given["endpoint"], "instance_type": "ml.m5.xlarge"}})

    assert inspect(PreflightSnapshot(release, run)).problems == {}
    assert set(inspect(PreflightSnapshot(release, run.in_environment(other))).problems) == {"variant"}
    assert inspect(PreflightSnapshot(release, run.in_environment(scaled))).problems == {}, (
        "deploy sets the scaling aside"
    )


@pytest.mark.starts_processes
def test_all_problems_are_told_at_once(run: Run, release: Release, make_env: MakeEnv) -> None:
    """Nothing was bootstrapped or published, and the config names an alarm that nobody made."""
    env = make_env(**{**run.env.model_dump(), "alarms": {"named": ("gone",)}})
    with pytest.raises(PreflightFailed) as failed:
        require_clear(inspect(PreflightSnapshot(release, run.in_environment(env))))

    for problem in (
        "There is no role",
        "There is no bucket",
        "not in ECR",
        "There is no object s3://",
        "There is no alarm gone",
    ):
        assert problem in str(failed.value)
    assert str(failed.value).startswith("5 problems")
    assert config_name(release, env) not in str(failed.value)


@pytest.mark.starts_processes
def test_what_may_not_be_asked_is_a_problem(run: Run, release: Release) -> None:
    """SageMaker refuses this name as one that no endpoint can have."""
    endpoint = run.env.endpoint.model_copy(update={"name": "no_name"})
    env = run.env.model_copy(update={"endpoint": endpoint})
    result = inspect(PreflightSnapshot(release, run.in_environment(env)))

    assert "could not be checked" in result.problems["endpoint"][0].what
