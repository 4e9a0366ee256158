"""A release without golden requests, and one with others than the live release: what is not compared is said."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

import golden
from golden import Case, Expected, Request
from pipeline.account.destroy import destroy
from pipeline.aws import AwsClient
from pipeline.commands import promote as promote_command
from pipeline.config import Environment
from pipeline.deployment.deploy import deploy
from pipeline.deployment.plan import config_name
from pipeline.errors import VerificationInconclusive
from pipeline.gates import Verdict
from pipeline.promotion.outcome import outcome_key
from pipeline.publishing.model_registry import package_of
from pipeline.publishing.publish import publish
from pipeline.release import UNCHECKED, GoldenRecord, Release
from pipeline.release_store.golden import record_of
from pipeline.release_store.manifests import release_key
from pipeline.run import Run
from pipeline.state.audit import audit_lines
from pipeline.verification.evidence import Evidence, evidence_key
from pipeline.verification.measure import Bench
from pipeline.verification.stages import Job, Measurements, compare_with_next
from pipeline.verification.verify import verify
from tests.pipeline.scene import model_of
from tests.pipeline.stage import Stage

MakeEnv = Callable[..., Environment]
MakeRelease = Callable[[str], Release]
NO_ENDPOINT = "nothing is asked"


@pytest.fixture
def unchecked(stage: Stage) -> Iterator[tuple[Release, Run]]:
    """Put a release live that was published without a golden set."""
    run = stage.scene("publish", "unchecked").run
    model = model_of(run.build, "one")
    (model / golden.LEGACY_FILE).unlink()
    release = publish(run, weights=str(model), unchecked=True, engine=False)
    deploy(release, run)
    yield release, run
    destroy(run, confirmed=run.env.name)


@pytest.mark.starts_processes
def test_every_gate_of_an_unchecked_release_is_inconclusive_for_that_reason(
    unchecked: tuple[Release, Run],
) -> None:
    release, run = unchecked
    with pytest.raises(VerificationInconclusive, match="smoke: UNCHECKED"):
        verify(release, run, "quick")
    evidence = Evidence.model_validate(run.aws.get_json(evidence_key(release.id, run.env.name)))

    assert {gate.verdict for gate in evidence.gates} == {Verdict.INCONCLUSIVE}
    assert {gate.reason for gate in evidence.gates} == {UNCHECKED}
    assert {"smoke", "capacity", "latency", "errors", "scale out"} <= {gate.name for gate in evidence.gates}
    assert evidence.notes == (UNCHECKED,)


@pytest.mark.starts_processes
def test_a_promotion_that_accepts_an_unchecked_release_leaves_that_word_everywhere(
    unchecked: tuple[Release, Run],
) -> None:
    """In result, outcome, audit line and approval; its smoke tests have nothing to ask."""
    release, run = unchecked
    with pytest.raises(VerificationInconclusive):
        verify(release, run, "quick")
    document = run.aws.get_json(evidence_key(release.id, run.env.name))
    assert document is not None
    run.aws.put_json(evidence_key(release.id, "staging"), document | {"environment": "staging"})
    record = promote_command.command.execute(run, release=release.id, unchecked=True)
    package = package_of(release.id, run.aws)
    outcome = run.aws.get_json(outcome_key(release.id, run.env.name))

    assert (record.result["unchecked"], record.result["smoke_tests"]) == (True, 0)
    assert UNCHECKED in record.result["notes"]
    assert outcome is not None
    assert (outcome["verdict"], outcome["reason"]) == ("promoted", UNCHECKED)
    (line,) = audit_lines(run, 1)
    assert line.unchecked
    assert f"promote {release.id} UNCHECKED  succeeded" in str(line)
    assert package is not None
    assert package["ModelApprovalStatus"] == "Approved"
    described = run.aws.read(
        "sagemaker", "describe_model_package", ModelPackageName=package["ModelPackageArn"]
    )
    assert described["ApprovalDescription"] == UNCHECKED


@dataclass
class Serving(AwsClient):
    """An AWS whose next environment serves a config."""

    config: str = ""

    @override
    def describe_endpoint(self, name: str) -> dict[str, Any] | None:
        return {"EndpointConfigName": self.config}

    @override
    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if operation == "describe_endpoint_config":
            return {"ProductionVariants": [{"ModelName": "the-model"}]}
        return super().read(service, operation, **params)


def asking(body: bytes) -> GoldenRecord:
    return record_of(golden.parse(golden.serialize([Case(Request(body), Expected(b"{}"))]), "it"))


def compared(candidate: Release, live: Release, account: Run, make_env: MakeEnv) -> Measurements:
    """Return what comes of the comparison with the live release, of which one instance's capacity is not known."""
    following = make_env(name="production", promotes_from="staging", endpoint={"name": "production"})
    run = Run(account.env, Serving(account.env.aws, config=config_name(live, following)), account.build)
    job, found = Job(candidate, run, "quick", "c", following), Measurements()
    compare_with_next(job, NO_ENDPOINT, Bench(Path(), Path(), run.env.load.quick), found)
    return found


def test_a_release_with_other_golden_requests_is_not_compared_and_not_stopped(
    account: Run, make_env: MakeEnv, make_test_release: MakeRelease
) -> None:
    live = make_test_release("b").with_golden(asking(b'"old"'))
    account.aws.put_json(release_key(live.id), live.document())
    found = compared(make_test_release("a").with_golden(asking(b'"new"')), live, account, make_env)

    assert found.gates == []
    assert found.notes == [f"regression: not compared with {live.id}: other golden requests"]


def test_a_release_with_the_same_golden_requests_is_compared(
    account: Run, make_env: MakeEnv, make_test_release: MakeRelease
) -> None:
    live = make_test_release("b").with_golden(asking(b'"old"'))
    account.aws.put_json(release_key(live.id), live.document())
    found = compared(make_test_release("a").with_golden(asking(b'"old"')), live, account, make_env)

    assert [(gate.name, gate.verdict) for gate in found.gates] == [("regression", Verdict.INCONCLUSIVE)]
    assert "without a capacity" in found.gates[0].reason
    assert found.notes == []


def test_a_release_whose_manifest_is_gone_is_no_reason_to_compare_nothing(
    account: Run, make_env: MakeEnv, make_test_release: MakeRelease
) -> None:
    candidate = make_test_release("a").with_golden(asking(b"1"))
    found = compared(candidate, make_test_release("b"), account, make_env)

    assert [gate.verdict for gate in found.gates] == [Verdict.INCONCLUSIVE]
    assert "There is no release" in found.gates[0].reason
