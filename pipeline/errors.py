"""Every failure that a person can act on, each with an exit code of its own.

PipelineError                 1   the base; never raised itself
├── the input
│   ├── ConfigError           2   a config file or command line that is not valid (click exits with 2 too)
│   ├── ReleaseError          3   a release manifest, weights or a golden set: missing, broken or a different one
│   ├── BuildFailed           4   the image could not be built or pushed
│   ├── TrainingFailed       31   a training job that did not complete
│   ├── ScanNotPassed        24   ECR's scan found what stops a release, or has no result
│   └── PreflightFailed      18   something would stop the deployment; the error lists all of it
├── the deployment
│   ├── DeploymentRolledBack  5   SageMaker put the old release back
│   ├── DeploymentFailed      6   the endpoint is Failed, or its rollback failed
│   ├── DeploymentTimedOut    7   the endpoint did not settle in time
│   ├── ReleaseUnproved       8   InService, but fewer instances answered than it counts
│   ├── EndpointBusy          9   another change of this endpoint is in progress
│   ├── AlarmNotQuiet        10   an alarm of the new fleet is in ALARM before any traffic
│   └── EnvironmentLocked    19   another run is changing this environment
├── the scaling
│   ├── PolicyNotInForce     11   AWS reports another target or policy than was put
│   └── PolicyCannotAct      23   a scaling policy that AWS would accept and that could never act
├── the gate
│   ├── PromotionRefused     12   no evidence that this release PASSED where it must
│   ├── SmokeFailed          13   the smoke tests failed on the live endpoint
│   └── NothingToRollBackTo  14   no earlier release of this environment is known
├── the verification
│   ├── LoadTestBroken       20   the load test could not run or left no result
│   ├── GateFailed           21   a measurement is over its limit
│   └── VerificationInconclusive 22   something could not be measured, which does not count as success
├── GitHub
│   ├── GithubNotReady       32   a setting of the repository lets something unsafe through
│   └── GithubUnreachable    33   no answer from GitHub's API, or a refusal
└── AWS
    ├── AwsRefused           15   a call that AWS answered with an error
    ├── AwsUnreachable       16   no answer, no credentials, no region
    ├── WrongAccount         17   the credentials belong to another account
    └── StackFailed          30   CloudFormation could not bring a stack to its template
"""


class PipelineError(Exception):
    """A failure that a person can act on: `what` happened, and how to `fix` it."""

    exit_code = 1
    accepted: dict[str, str] | None = (
        None  # the gates that a person accepted, with the reasons, for the audit line
    )

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix

    def __str__(self) -> str:
        return f"{self.what}\n  fix: {self.fix}"


class ConfigError(PipelineError):
    """The config file or the command line is not valid."""

    exit_code = 2


class ReleaseError(PipelineError):
    """The release manifest, or the weights or the golden set it names, is missing, broken or a different one."""

    exit_code = 3


class BuildFailed(PipelineError):
    """The image could not be built or pushed."""

    exit_code = 4


class ScanNotPassed(PipelineError):
    """ECR's scan found vulnerabilities that stop a release, or has no result."""

    exit_code = 24


class TrainingFailed(PipelineError):
    """A training job failed, was stopped, or did not end in time."""

    exit_code = 31


class DeploymentRolledBack(PipelineError):
    """SageMaker put the old release back; it serves all traffic again."""

    exit_code = 5
    judged: str | None = None  # the verdict on its bake, for the audit line

    def __init__(self, endpoint: str, *, wanted: str, live: str, because: str) -> None:
        super().__init__(
            f"Endpoint {endpoint} is InService on {live}, not on {wanted}. {because}",
            fix="Traffic is back on the old release. Find the cause in the alarm and in the log group "
            f"/aws/sagemaker/Endpoints/{endpoint}, then publish and deploy a corrected release.",
        )
        self.endpoint, self.wanted, self.live, self.because = endpoint, wanted, live, because


class DeploymentFailed(PipelineError):
    """The endpoint is Failed or UpdateRollbackFailed."""

    exit_code = 6


class DeploymentTimedOut(PipelineError):
    """The endpoint did not settle within the time that follows from the config."""

    exit_code = 7


class ReleaseUnproved(PipelineError):
    """The endpoint is InService, but fewer instances answered with this release than it counts."""

    exit_code = 8


class EndpointBusy(PipelineError):
    """Another change of this endpoint is in progress."""

    exit_code = 9


class AlarmNotQuiet(PipelineError):
    """An alarm of the new fleet is in ALARM before the fleet has had any traffic."""

    exit_code = 10


class EnvironmentLocked(PipelineError):
    """Another run is changing this environment, or has taken over its lock."""

    exit_code = 19


class PolicyNotInForce(PipelineError):
    """The scaling target or policy that AWS reports is not the one that was put."""

    exit_code = 11


class PolicyCannotAct(PipelineError):
    """AWS would accept this scaling policy, but it could never act; nothing was put."""

    exit_code = 23


class PromotionRefused(PipelineError):
    """No evidence shows that exactly this release PASSED in the environment before."""

    exit_code = 12


class SmokeFailed(PipelineError):
    """The smoke tests failed on the live endpoint."""

    exit_code = 13
    judged: str | None = None  # the verdict on its bake, for the audit line


class NothingToRollBackTo(PipelineError):
    """No earlier, different release of this environment is known."""

    exit_code = 14


class AwsRefused(PipelineError):
    """AWS answered a call with an error."""

    exit_code = 15

    def __init__(self, doing: str, *, code: str, message: str, fix: str) -> None:
        super().__init__(f"{doing}: {code}: {message}", fix=fix)
        self.code, self.message = code, message


class AwsUnreachable(PipelineError):
    """AWS did not answer, or there are no credentials."""

    exit_code = 16


class WrongAccount(PipelineError):
    """The credentials belong to another account than the environment's."""

    exit_code = 17


class PreflightFailed(PipelineError):
    """Something would stop the deployment; nothing was changed."""

    exit_code = 18


class StackFailed(PipelineError):
    """CloudFormation could not bring a stack to its template."""

    exit_code = 30


class GithubNotReady(PipelineError):
    """A setting of the GitHub repository lets something unsafe through; the error lists all of it."""

    exit_code = 32


class GithubUnreachable(PipelineError):
    """GitHub's API did not answer, or refused the token."""

    exit_code = 33


class LoadTestBroken(PipelineError):
    """The load test could not run, did not end, or left no result."""

    exit_code = 20


class GateFailed(PipelineError):
    """At least one gate of the verification FAILED; the evidence names it."""

    exit_code = 21


class VerificationInconclusive(PipelineError):
    """No gate FAILED, but at least one could not be judged; the release cannot be promoted."""

    exit_code = 22
