"""A release whose figure of training is worse than the floor, or than the live release's, is no passed release."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.config import Environment, Quality
from pipeline.gates import Verdict
from pipeline.release import Release
from pipeline.release_store.manifests import release_key
from pipeline.run import Run
from pipeline.verification.quality import judge_quality, quality_gates
from tests.pipeline.steps import MakeEnv

MakeRelease = Callable[..., Release]
ACCURACY = Quality(metric="accuracy", floor=0.9, allowed_loss=0.01)
LOSS = Quality(metric="loss", better="lower", floor=0.5, allowed_loss=0.05)


@pytest.mark.parametrize(
    ("quality", "candidate", "live", "verdict", "limit"),
    [
        (ACCURACY, 0.225, 0.992, Verdict.FAILED, 0.982),
        (ACCURACY, 0.981, 0.992, Verdict.FAILED, 0.982),
        (ACCURACY, 0.982, 0.992, Verdict.PASSED, 0.982),
        (ACCURACY, 0.999, 0.992, Verdict.PASSED, 0.982),
        (ACCURACY, 0.89, 0.85, Verdict.FAILED, 0.9),  # better than the live one, and below the floor
        (ACCURACY, 0.91, None, Verdict.PASSED, 0.9),
        (ACCURACY, 0.89, None, Verdict.FAILED, 0.9),
        (LOSS, 0.26, 0.2, Verdict.FAILED, 0.25),
        (LOSS, 0.25, 0.2, Verdict.PASSED, 0.25),
        (LOSS, 0.51, 0.49, Verdict.FAILED, 0.5),
        (LOSS, 0.51, None, Verdict.FAILED, 0.5),
    ],
)
def test_a_release_is_held_to_the_floor_and_to_the_live_release(
    quality: Quality, candidate: float, live: float | None, verdict: Verdict, limit: float
) -> None:
    before = None if live is None else ("a-live-one", {quality.metric: live})
    gate = judge_quality(
        quality, {quality.metric: candidate}, live=before, first_because="no environment follows"
    )

    assert gate.verdict is verdict
    assert gate.limit == pytest.approx(limit)
    assert gate.measured == candidate
    assert ("a-live-one" if before else "only the floor is known: no environment follows") in gate.reason


@pytest.mark.parametrize("missing", [{}, {"accuracy": float("nan")}, {"precision": 0.9}])
def test_a_missing_figure_is_inconclusive(missing: dict[str, float]) -> None:
    of_candidate = judge_quality(ACCURACY, missing, live=("a-live-one", {"accuracy": 0.9}))
    of_live = judge_quality(ACCURACY, {"accuracy": 0.95}, live=("a-live-one", missing))

    assert of_candidate.verdict is of_live.verdict is Verdict.INCONCLUSIVE
    assert "metrics.json of the release has no accuracy" in of_candidate.reason
    assert "metrics.json of a-live-one, which it would replace, has no accuracy" in of_live.reason


def test_without_the_section_there_is_no_such_gate(account: Run, release: Release) -> None:
    assert quality_gates(release, account, None) == []


def test_the_live_release_is_that_of_the_next_environment(
    account: Run, make_env: MakeEnv, make_test_release: MakeRelease
) -> None:
    """Its manifest has the figure."""

    def published(letter: str, accuracy: float) -> Release:
        plain = make_test_release(letter)
        weights = plain.weights.model_copy(update={"metrics": {"accuracy": accuracy}})
        made = plain.model_copy(update={"weights": weights})
        account.aws.put_json(release_key(made.id), made.document())
        return made

    live, candidate = published("a", 0.992), published("b", 0.225)
    env = make_env(verification={"quality": ACCURACY.model_dump()})
    production = make_env(name="production", promotes_from="staging", endpoint={"name": "digits-production"})
    serve(live, production, account)
    (gate,) = quality_gates(candidate, account.in_environment(env), production)

    assert gate.verdict is Verdict.FAILED
    assert gate.reason == (f"accuracy 0.225 is below 0.982; {live.id}, which it would replace, has 0.992")


def serve(release: Release, env: Environment, run: Run) -> None:
    """Have moto describe an endpoint with this release."""
    name = f"{env.endpoint.name}-{release.id}-00000000"
    sagemaker = (
        ("sagemaker", "create_model"),
        ("sagemaker", "create_endpoint_config"),
        ("sagemaker", "create_endpoint"),
    )
    container = {"Image": "i", "ModelDataUrl": "s3://b/k"}
    variant = {
        "VariantName": "v",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    params: tuple[dict[str, Any], ...] = (
        {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": env.aws.execution_role_arn},
        {"EndpointConfigName": name, "ProductionVariants": [variant]},
        {"EndpointName": env.endpoint.name, "EndpointConfigName": name},
    )
    for (service, operation), given in zip(sagemaker, params, strict=True):
        run.aws.read(service, operation, **given)
