"""Take a release to the next environment: evidence, deploy, autoscale with the policy read back, smoke."""

from pathlib import Path

from pipeline.autoscale import AutoscaleResult, autoscale
from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.deploy import DeployResult, deploy
from pipeline.errors import ConfigError, PolicyNotInForce, PromotionRefused, SmokeFailed
from pipeline.evidence import Evidence
from pipeline.findings import find_capacity, find_evidence
from pipeline.gates import Verdict
from pipeline.model import Model
from pipeline.records import Say, record_step
from pipeline.release import Release
from pipeline.smoke import run_smoke
from pipeline.weights import fetch_golden


class PromoteResult(Model):
    """What `promote` found true at its end."""

    release: str
    evidence_of: str
    evidence_finished: float  # epoch seconds
    deploy: DeployResult
    autoscale: AutoscaleResult
    smoke_tests: int


def promote(release: Release, env: Environment, aws: Aws, build: Path, say: Say = print) -> PromoteResult:
    """Put a verified release live in `env`. The steps within leave their own records too.

    Raises PromotionRefused without evidence that exactly this release PASSED in the environment before,
    PolicyNotInForce when no policy scales it afterwards, SmokeFailed, and whatever deploy raises.
    """
    evidence = require_evidence(release, env, aws, build)
    say(f"release {release.id} PASSED in {evidence.environment}, {len(evidence.gates)} gates")
    deployed: list[DeployResult] = []
    scaled: list[AutoscaleResult] = []

    def _deploy() -> DeployResult:
        deployed.append(deploy(release, env, aws, build, say))
        return deployed[0]

    def _autoscale() -> AutoscaleResult:
        scaled.append(autoscale(release, env, aws, find_capacity(release.id, env, aws, build), say))
        return scaled[0]

    record_step(build, env.name, "deploy", aws.made, _deploy)
    record_step(build, env.name, "autoscale", aws.made, _autoscale)
    if scaled[0].target is None:
        raise PolicyNotInForce(
            f"{env.endpoint.name} serves {release.id}, but no policy scales it: {scaled[0].reason}.",
            fix=f"Verify the release in {evidence.environment} on instances of type "
            f"{env.endpoint.instance_type}, or set autoscaling.target to a number.",
        )
    smoke = run_smoke(release, env, build, fetch_golden(release, aws, build), say)
    if not smoke.passed:
        raise SmokeFailed(
            f"{env.endpoint.name}: {smoke.problem or '; '.join(smoke.failed)}.",
            fix=f"Read {smoke.report}; `python -m pipeline rollback --env {env.name}` puts the previous "
            "release back.",
        )
    return PromoteResult(
        release=release.id,
        evidence_of=evidence.environment,
        evidence_finished=evidence.finished,
        deploy=deployed[0],
        autoscale=scaled[0],
        smoke_tests=smoke.tests,
    )


def require_evidence(release: Release, env: Environment, aws: Aws, build: Path) -> Evidence:
    """Return the evidence that allows the promotion. Raises PromotionRefused when there is none."""
    source = env.promotes_from
    if source is None:
        raise ConfigError(
            f"Nothing is promoted to {env.name}: its promotes_from is null.",
            fix=f"Use `python -m pipeline deploy --env {env.name}`, or name the environment before it.",
        )
    evidence = find_evidence(release.id, source, aws, build)
    again = f"Run `python -m pipeline verify --env {source}` with this release live there."
    if evidence is None:
        raise PromotionRefused(f"Nobody has verified release {release.id} in {source}.", fix=again)
    if evidence.verdict is not Verdict.PASSED or evidence.environment != source:
        named = [f"{gate.name} {gate.verdict}: {gate.reason}" for gate in evidence.gates]
        bad = "; ".join(
            line for line, gate in zip(named, evidence.gates, strict=True) if not _passed(gate.verdict)
        )
        raise PromotionRefused(
            f"Release {release.id} is {evidence.verdict.upper()} in {evidence.environment}: {bad}.", fix=again
        )
    return evidence


def _passed(verdict: Verdict) -> bool:
    return verdict is Verdict.PASSED
