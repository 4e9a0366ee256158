"""The steps of the deploy roles on an AWS that enforces IAM, each with the actions that it fails without.

The actions stand in the order in which their step first asks for them: a try without one stops at its call, and the
next try goes on from there, as an interrupted step does.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from golden import Request
from local_aws import Running
from pipeline.account.destroy import destroy
from pipeline.account.notify import notify
from pipeline.autoscaling.autoscale import autoscale
from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.config import Autoscaling
from pipeline.config.endpoint import Vpc
from pipeline.deployment.deploy import deploy
from pipeline.errors import AwsRefused, DeploymentRolledBack, PipelineError, ReleaseError
from pipeline.preflight.preflight import PreflightSnapshot, inspect, require_clear
from pipeline.promotion.promote import promote
from pipeline.promotion.rollback import rollback
from pipeline.promotion.status import environment_status
from pipeline.publishing.digests import PART_BYTES, digests_of
from pipeline.publishing.scan import read_scan
from pipeline.publishing.supply_chain import Origin
from pipeline.publishing.train import train
from pipeline.publishing.upload import CHECKED, Upload
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.audit import audit_lines
from pipeline.state.lock import environment_lock
from pipeline.verification.under_load import read_scaling_events
from tests.pipeline.scene import published
from tests.pipeline.steps import CAPACITY_RPS, DOWN, NIGHTS, UP, keep_evidence, smoke


@dataclass
class Journey:
    """The releases of a journey, and the AWS that it goes through."""

    cloud: Running
    folder: Path
    releases: dict[str, Release] = field(default_factory=dict)


PUBLISHER, PROMOTED_TO = "staging", "production"
Work = Callable[[Journey, Run], object]


@dataclass(frozen=True)
class EnforcedStep:
    """A step, and the actions without which it fails."""

    work: Work
    needs: tuple[str, ...]
    is_locked: bool = True
    of: str | None = None
    """The environment whose job alone does the step; None: that of every environment."""
    where_promoted_to: tuple[str, ...] = ()
    """Further actions, asked for first, that an environment which publishes nothing needs here."""

    def needs_in(self, environment: str) -> tuple[str, ...]:
        """Return the actions without which the step fails there."""
        if self.of not in (None, environment):
            return ()
        return (*(self.where_promoted_to if environment == PROMOTED_TO else ()), *self.needs)

    def do(self, journey: Journey, run: Run, name: str) -> None:
        """Do the step, under the lock where it changes the environment. Raises PipelineError."""
        if not self.is_locked:
            self.work(journey, run)
            return
        with environment_lock(run, name.replace(" ", "-")):
            self.work(journey, run)


def publish_one(journey: Journey, run: Run) -> None:
    journey.releases["one"] = published(run, journey.folder, "one")


def publish_others(journey: Journey, run: Run) -> None:
    journey.releases["two"] = published(run, journey.folder, "two")
    journey.releases["wrong"] = published(run, journey.folder, "wrong", "predicts 3", prediction=4)
    journey.releases["broken"] = published(run, journey.folder, "broken", "exits")
    keep_evidence(journey.releases["two"], run.aws)


def upload_in_parts(journey: Journey, run: Run) -> None:
    """Resume an upload that another run has begun."""
    where = {"Bucket": run.env.aws.bucket, "Key": "weights/in-parts/model.tar.gz"}
    run.aws.read("s3", "create_multipart_upload", **where, **CHECKED)
    large = two_parts(journey.folder)
    Upload(large, where, digests_of(large), run.aws, "upload").send()


def upload_beside_another(journey: Journey, run: Run) -> None:
    """Send parts of what another run has sent whole meanwhile: they are dropped."""
    where = {"Bucket": run.env.aws.bucket, "Key": "weights/beside/model.tar.gz"}
    large = two_parts(journey.folder)
    if run.aws.find("s3", "head_object", **where) is None:
        run.aws.read("s3", "put_object", **where, Body=large.read_bytes(), IfNoneMatch="*")
    with suppress(ReleaseError):  # a whole object has another checksum
        Upload(large, where, digests_of(large), run.aws, "upload").send()


def two_parts(folder: Path) -> Path:
    """Return a file that is sent in two parts."""
    folder.mkdir(parents=True, exist_ok=True)
    large = folder / "large"
    with large.open("wb") as content:
        content.truncate(PART_BYTES + 1)
    return large


def scan(journey: Journey, run: Run) -> None:
    """Read the findings of an image; without an engine the registry has none."""
    try:
        read_scan(journey.releases["one"].image, run.aws)
    except AwsRefused as error:
        if error.code != "ImageNotFoundException":
            raise


def deploy_wrong_answers(journey: Journey, run: Run) -> None:
    """Bake for long enough that the veto is in time."""
    slower = run.env.deployment.model_copy(update={"bake_seconds": BAKE_SECONDS})
    with suppress(DeploymentRolledBack):
        deploy(journey.releases["wrong"], replace(run, env=run.env.model_copy(update={"deployment": slower})))


def deploy_what_does_not_start(journey: Journey, run: Run) -> None:
    """Fail with the last lines of the log, which the error says when they cannot be read."""
    try:
        deploy(journey.releases["broken"], run)
    except PipelineError as error:
        if "could not be read" in str(error):
            raise


def promote_two(journey: Journey, run: Run) -> None:
    """Promote what has passed in staging, whose evidence only its own job can write."""
    promote(journey.releases["two"], run, smoke=smoke())


def look_at_scaling(_: Journey, run: Run) -> None:
    """Read what `verify` judges scaling by."""
    read_scaling_events(run, 0.0)
    run.aws.metric(
        ("AWS/SageMaker", "Invocations"), {"EndpointName": run.env.endpoint.name}, "Sum", 60, (0, 60)
    )


def check_before(journey: Journey, run: Run) -> None:
    require_clear(inspect(PreflightSnapshot(journey.releases["one"], run)))


def check_network_and_key(journey: Journey, run: Run) -> None:
    vpc = Vpc(subnets=("subnet-12345678",), security_groups=("sg-12345678",))
    endpoint = run.env.endpoint.model_copy(update={"vpc": vpc})
    there = replace(run, env=run.env.model_copy(update={"endpoint": endpoint}))
    require_authorised(PreflightSnapshot(journey.releases["one"], there))


def check_metric_of_our_own(journey: Journey, run: Run) -> None:
    queue = UP | {"name": "queue", "metric": "Backlog", "namespace": "Own", "statistic": "Average"}
    require_authorised(PreflightSnapshot(journey.releases["one"], scaled(run, steps=[queue])))


def require_authorised(snapshot: PreflightSnapshot) -> None:
    """Return when every question of preflight may be asked; the network and the metric are not there."""
    found = inspect(snapshot)
    if "not authorized" in str(found.problems):
        require_clear(found)


def deploy_mark(mark: str) -> Work:
    return lambda journey, run: deploy(journey.releases[mark], run)


def ask(request: Request) -> Work:
    """Send a request to the live endpoint, as the proof that it serves and the smoke test do."""
    return lambda _, run: run.aws.invoke(run.env.endpoint.name, request)


def scaled(run: Run, **changes: Any) -> Run:
    """Return a run with other settings of autoscaling."""
    scaling = Autoscaling.model_validate({**run.env.autoscaling.model_dump(), **changes})
    return replace(run, env=run.env.model_copy(update={"autoscaling": scaling}))


def scale_in_every_way(_: Journey, run: Run) -> None:
    every_way = {"concurrency_target": 1e6, "steps": [UP, DOWN], "schedule": [{**NIGHTS, "max_instances": 3}]}
    autoscale(scaled(run, **every_way), MeasuredCapacity(CAPACITY_RPS))


def scale_plainly(_: Journey, run: Run) -> None:
    autoscale(run, MeasuredCapacity(CAPACITY_RPS))


SCALING = "application-autoscaling"
BAKE_SECONDS = 2400  # of AWS's; ten seconds here
STEPS: Mapping[str, EnforcedStep] = {
    "train": EnforcedStep(
        lambda _, run: train(run, Origin(), engine=False, sbom=False),
        ("sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"),
        of=PUBLISHER,
    ),
    "publish": EnforcedStep(
        publish_one,
        (
            *(
                "s3:PutObject",
                "ecr:DescribeRepositories",
                "ecr:DescribeImages",
                "s3:GetObject",
                "s3:ListBucket",
            ),
            *("sagemaker:ListModelPackages", "sagemaker:CreateModelPackage"),
        ),
        of=PUBLISHER,
    ),
    "preflight": EnforcedStep(
        check_before,
        ("iam:GetRole", "iam:SimulatePrincipalPolicy", "servicequotas:ListServiceQuotas"),
        is_locked=False,
    ),
    "preflight of a network and a key": EnforcedStep(
        check_network_and_key,
        ("ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "kms:DescribeKey"),
        is_locked=False,
    ),
    "preflight of a metric": EnforcedStep(
        check_metric_of_our_own, ("cloudwatch:ListMetrics",), is_locked=False
    ),
    "scan": EnforcedStep(scan, ("ecr:DescribeImageScanFindings",), is_locked=False),
    "upload in parts": EnforcedStep(
        upload_in_parts,
        ("s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"),
        is_locked=False,
        of=PUBLISHER,
    ),
    "upload beside another": EnforcedStep(
        upload_beside_another, ("s3:AbortMultipartUpload",), is_locked=False, of=PUBLISHER
    ),
    "first deploy": EnforcedStep(
        deploy_mark("one"),
        (
            *("sagemaker:DescribeEndpoint", "sagemaker:DescribeModel", "sagemaker:DescribeEndpointConfig"),
            *("cloudwatch:DescribeAlarms", "sagemaker:CreateModel", "iam:PassRole", "sagemaker:AddTags"),
            *("sagemaker:CreateEndpointConfig", "cloudwatch:PutMetricAlarm", "sagemaker:CreateEndpoint"),
            "kms:CreateGrant",
        ),
        where_promoted_to=("s3:PutObject", "s3:GetObject"),
    ),
    "ask the endpoint": EnforcedStep(ask(Request(b"{}")), ("sagemaker:InvokeEndpoint",), is_locked=False),
    "ask for a stream": EnforcedStep(
        ask(Request(b"{}", is_stream=True)), ("sagemaker:InvokeEndpointWithResponseStream",), is_locked=False
    ),
    "autoscale in every way": EnforcedStep(
        scale_in_every_way,
        (
            *(f"{SCALING}:DescribeScalableTargets", f"{SCALING}:DescribeScalingPolicies"),
            *(f"{SCALING}:DescribeScheduledActions", f"{SCALING}:RegisterScalableTarget"),
            *("sagemaker:UpdateEndpointWeightsAndCapacities", "iam:CreateServiceLinkedRole"),
            *(f"{SCALING}:PutScalingPolicy", f"{SCALING}:PutScheduledAction"),
        ),
    ),
    "autoscale plainly": EnforcedStep(
        scale_plainly,
        (f"{SCALING}:DeleteScalingPolicy", f"{SCALING}:DeleteScheduledAction", "cloudwatch:DeleteAlarms"),
    ),
    "publish others": EnforcedStep(publish_others, (), of=PUBLISHER),
    "deploy": EnforcedStep(deploy_mark("two"), ("sagemaker:UpdateEndpoint",)),
    "promote": EnforcedStep(
        promote_two, ("sagemaker:ListModelPackages", "sagemaker:UpdateModelPackage"), of=PROMOTED_TO
    ),
    "look at scaling": EnforcedStep(
        look_at_scaling,
        (
            *("cloudwatch:DescribeAlarmHistory", f"{SCALING}:DescribeScalingActivities"),
            "cloudwatch:GetMetricData",
        ),
        is_locked=False,
    ),
    "deploy wrong answers": EnforcedStep(deploy_wrong_answers, ("cloudwatch:PutMetricData",)),
    "deploy what does not start": EnforcedStep(
        deploy_what_does_not_start, ("logs:DescribeLogStreams", "logs:GetLogEvents")
    ),
    "roll back": EnforcedStep(lambda _, run: rollback(run), (), where_promoted_to=("s3:ListBucket",)),
    "status": EnforcedStep(lambda _, run: environment_status(run), ("sagemaker:ListTags",), is_locked=False),
    "audit": EnforcedStep(lambda _, run: audit_lines(run, 10), (), is_locked=False),
    "notify": EnforcedStep(lambda _, run: notify(run, "hello"), ("sns:Publish",), is_locked=False),
    "destroy": EnforcedStep(
        lambda _, run: destroy(run, confirmed=run.env.name),
        (
            *("sagemaker:ListEndpointConfigs", "sagemaker:ListModels", f"{SCALING}:DeregisterScalableTarget"),
            *("sagemaker:DeleteEndpoint", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"),
            "s3:DeleteObject",
        ),
    ),
}
