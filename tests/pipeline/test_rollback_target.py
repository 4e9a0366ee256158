"""The release that a rollback goes back to: known before anything is written, and not known to be bad."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import NothingToRollBackTo, ReleaseError
from pipeline.promotion.outcome import PromotionOutcome, outcome_key
from pipeline.promotion.rollback import rollback, rollback_target
from pipeline.promotion.rollback_target import release_before, why_failed
from pipeline.release import Image, Release
from pipeline.release_store.manifests import release_key
from pipeline.run import Run
from pipeline.state.records import DeploymentRecord, deployments, record_deployment
from pipeline.state.rollback_intent import RollbackIntent, intent_key
from pipeline.verification.evidence import evidence_key

MakeRelease = Callable[..., Release]
Said = Callable[[], list[str]]


@pytest.fixture
def deployed(account: Run, make_test_release: MakeRelease) -> Callable[[str], list[Release]]:
    """Have releases published (without their weights) and deployed, one after the other."""

    def deploy(letters: str) -> list[Release]:
        releases = [make_test_release(letter) for letter in letters]
        for at, release in enumerate(releases):
            account.aws.put_json(release_key(release.id), release.document())
            record_deployment(account.aws, deployment(account, release, at))
        return releases

    return deploy


def deployment(run: Run, release: Release, at: int) -> DeploymentRecord:
    config = f"{run.env.endpoint.name}-{release.id}-{at:08x}"
    return DeploymentRecord(
        environment=run.env.name,
        endpoint=run.env.endpoint.name,
        release=release.id,
        config=config,
        in_service_at=float(at),
        run_url=None,
    )


def fail_verification(run: Run, release: Release, verdict: str = "failed") -> None:
    gate = {"name": "smoke", "metric": "failed_tests", "limit": 0.0, "measured": 3.0, "unit": "failed"}
    document: dict[str, Any] = {
        "release": release.id, "environment": run.env.name, "endpoint": run.env.endpoint.name, "config": "c",
        "profile": "quick", "started": 0.0, "finished": 60.0, "verdict": verdict, "capacity": None, "load": [],
        "gates": [{**gate, "verdict": verdict, "reason": "as measured"}],
    }  # fmt: skip
    run.aws.put_json(evidence_key(release.id, run.env.name), document)


def fail_promotion(run: Run, release: Release, *, was_live: bool) -> None:
    outcome = PromotionOutcome(
        release=release.id,
        environment=run.env.name,
        verdict="failed",
        reason="SmokeFailed: wrong answers",
        live=None,
        was_live=was_live,
        finished=time.time(),
    )
    run.aws.put_json(outcome_key(release.id, run.env.name), outcome.document())


@pytest.mark.parametrize("named", ["banana", "0" * 12 + "-" + "0" * 8])
def test_a_release_that_does_not_exist_is_refused_before_anything_is_written(
    account: Run, deployed: Callable[[str], list[Release]], named: str
) -> None:
    first, _ = deployed("ab")
    with pytest.raises(ReleaseError) as refused:
        rollback(account, to=named)

    assert account.aws.get_json(intent_key(account.env)) is None
    assert named in refused.value.what
    assert "rollback --env staging --to" in refused.value.fix
    assert first.id in refused.value.fix


def test_a_release_whose_image_and_weights_are_deleted_is_refused_before_anything_is_written(
    account: Run, deployed: Callable[[str], list[Release]]
) -> None:
    first, _ = deployed("ab")
    with pytest.raises(ReleaseError, match="cannot be deployed any more") as refused:
        rollback(account, to=first.id)

    assert "is not in ECR repository digits" in refused.value.what
    assert f"There is no object {first.weights.uri}" in refused.value.what
    assert account.aws.get_json(intent_key(account.env)) is None


def test_an_interrupted_rollback_to_what_is_gone_says_the_way_out(
    account: Run, deployed: Callable[[str], list[Release]]
) -> None:
    """As an earlier version of the pipeline has left it."""
    first, second = deployed("ab")
    last = deployments(account.aws, "staging")[-1].config
    stuck = RollbackIntent(release="banana", left=second.id, last=last)
    account.aws.put_json(intent_key(account.env), stuck.document())

    for resume in (rollback, rollback_target):
        with pytest.raises(ReleaseError) as refused:
            resume(account)
        assert f"rollback --env staging --to {second.id} | {first.id}" in refused.value.fix


def test_a_release_that_failed_verification_is_passed_over(
    account: Run, deployed: Callable[[str], list[Release]], said: Said
) -> None:
    first, second, third = deployed("abc")
    fail_verification(account, second)
    records = deployments(account.aws, "staging")

    assert release_before(account, records, third.id) == first.id
    assert said() == [f"{second.id} is passed over: it failed verification: smoke"]


def test_a_release_that_could_not_be_judged_is_not_passed_over(
    account: Run, deployed: Callable[[str], list[Release]]
) -> None:
    _, second, third = deployed("abc")
    fail_verification(account, second, verdict="inconclusive")

    assert release_before(account, deployments(account.aws, "staging"), third.id) == second.id


@pytest.mark.parametrize("was_live", [True, False])
def test_a_release_is_passed_over_when_its_promotion_was_undone_not_when_it_never_began(
    account: Run, deployed: Callable[[str], list[Release]], was_live: bool
) -> None:
    first, second, third = deployed("abc")
    fail_promotion(account, second, was_live=was_live)
    wanted = first if was_live else second

    assert release_before(account, deployments(account.aws, "staging"), third.id) == wanted.id


def test_a_release_that_gc_has_deleted_is_passed_over(
    account: Run, deployed: Callable[[str], list[Release]], said: Said
) -> None:
    first, second, third = deployed("abc")
    account.aws.read("s3", "delete_object", Bucket=account.env.aws.bucket, Key=release_key(second.id))

    assert release_before(account, deployments(account.aws, "staging"), third.id) == first.id
    assert said() == [f"{second.id} is passed over: it is no longer published"]


def test_where_every_earlier_release_is_bad_a_person_must_name_one(
    account: Run, deployed: Callable[[str], list[Release]]
) -> None:
    first, second = deployed("ab")
    fail_verification(account, first)

    with pytest.raises(NothingToRollBackTo, match="no good release before") as refused:
        release_before(account, deployments(account.aws, "staging"), second.id)
    assert refused.value.fix == f"Name one: python -m pipeline rollback --env staging --to {first.id}."


def test_a_release_is_bad_only_in_the_environment_where_it_failed(
    account: Run, deployed: Callable[[str], list[Release]], make_env: Callable[..., Any]
) -> None:
    (first,) = deployed("a")
    fail_verification(account, first)

    assert why_failed(first.id, account) == "failed verification: smoke"
    assert why_failed(first.id, account.in_environment(make_env(name="production"))) is None


def test_a_named_release_need_not_have_an_image_where_none_was_built(
    account: Run, deployed: Callable[[str], list[Release]], make_test_release: MakeRelease
) -> None:
    """Its weights alone are looked for."""
    plain = make_test_release("d")
    image = Image.model_validate({**plain.image.model_dump(), "is_source_hash": True})
    built_without = plain.model_copy(update={"image": image})
    account.aws.put_json(release_key(plain.id), built_without.document())

    with pytest.raises(ReleaseError) as refused:
        rollback(account, to=plain.id)
    assert "ECR" not in refused.value.what
