"""Promotion: refused unless exactly this release PASSED in the environment before."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.aws import Aws
from pipeline.config import Environment
from pipeline.errors import ConfigError, PromotionRefused
from pipeline.promotion.promote import require_evidence
from pipeline.release import Release
from pipeline.verification.evidence import Evidence, evidence_key
from pipeline.verification.stored_evidence import find_capacity

NOW = time.time()
MakeEnv = Callable[..., Environment]
MakeRelease = Callable[..., Release]


@pytest.fixture
def production(make_env: MakeEnv) -> Environment:
    return make_env(name="production", promotes_from="staging", endpoint={"name": "digits-production"})


def evidence(release: Release, verdict: str = "passed", **changes: Any) -> Evidence:
    gate = {
        "name": "latency",
        "metric": "p99_ms",
        "limit": 500.0,
        "measured": 40.0,
        "unit": "ms",
        "verdict": verdict,
        "reason": "as measured",
    }
    capacity = {
        "release": release.id, "instance_type": "ml.m5.large", "slo": {"p99_ms": 500.0, "error_percent": 1.0},
        "requests_per_second": 40.0, "verdict": "passed", "bottleneck": "instance", "reason": "", "steps": [], "measured_at": "now",
    }  # fmt: skip
    content: dict[str, Any] = {
        "release": release.id, "environment": "staging", "endpoint": "digits-staging", "config": "c",
        "profile": "quick", "started": NOW - 60, "finished": NOW, "verdict": verdict, "gates": [gate], "capacity": capacity, "load": [],
    }  # fmt: skip
    return Evidence.model_validate(content | changes)


def keep(found: Evidence, aws: Aws) -> None:
    aws.put_json(evidence_key(found.release, found.environment), found.document())


def test_passed_evidence_of_this_release_lets_it_through(
    account: Aws, production: Environment, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release), account)

    assert require_evidence(release, production, account, tmp_path) == evidence(release)


def test_a_release_that_nobody_verified_is_refused(
    account: Aws, production: Environment, release: Release, tmp_path: Path
) -> None:
    with pytest.raises(PromotionRefused, match=f"Nobody has verified release {release.id} in staging"):
        require_evidence(release, production, account, tmp_path)


def test_evidence_of_another_release_counts_for_nothing(
    account: Aws, production: Environment, make_test_release: MakeRelease, tmp_path: Path
) -> None:
    """Neither in S3 nor in the build folder, where the last run's file may still lie."""
    passed, other = make_test_release("a"), make_test_release("b")
    keep(evidence(passed), account)
    evidence(passed).save(tmp_path / "staging" / "evidence.json")

    with pytest.raises(PromotionRefused, match="Nobody has verified"):
        require_evidence(other, production, account, tmp_path)


@pytest.mark.parametrize("verdict", ["failed", "inconclusive"])
def test_whatever_is_not_passed_is_refused_with_its_gates(
    account: Aws, production: Environment, release: Release, tmp_path: Path, verdict: str
) -> None:
    keep(evidence(release, verdict), account)

    with pytest.raises(
        PromotionRefused, match=f"{verdict.upper()} in staging: latency {verdict}: as measured"
    ):
        require_evidence(release, production, account, tmp_path)


def test_evidence_in_s3_goes_before_the_file_beside_the_build(
    account: Aws, production: Environment, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release, "failed"), account)
    evidence(release).save(tmp_path / "staging" / "evidence.json")

    with pytest.raises(PromotionRefused):
        require_evidence(release, production, account, tmp_path)


def test_evidence_that_was_handed_over_as_a_file_is_taken(
    account: Aws, production: Environment, release: Release, tmp_path: Path
) -> None:
    evidence(release).save(tmp_path / "staging" / "evidence.json")

    assert require_evidence(release, production, account, tmp_path).release == release.id


def test_a_verdict_that_its_gates_do_not_bear_out_is_no_evidence(
    account: Aws, production: Environment, release: Release, tmp_path: Path
) -> None:
    """Somebody wrote `passed` over a failed gate."""
    forged = evidence(release, "failed").document() | {"verdict": "passed"}
    account.put_json(evidence_key(release.id, "staging"), forged)
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "evidence.json").write_text(json.dumps(forged))

    with pytest.raises(PromotionRefused):
        require_evidence(release, production, account, tmp_path)


@pytest.mark.parametrize(("hours", "is_taken"), [(23.9, True), (24.1, False)])
def test_evidence_grows_old(
    account: Aws, make_env: MakeEnv, release: Release, tmp_path: Path, hours: float, *, is_taken: bool
) -> None:
    env = make_env(name="production", promotes_from="staging", promotion={"evidence_age_hours": 24})
    keep(evidence(release), account)

    def ask() -> Evidence:
        return require_evidence(release, env, account, tmp_path, now=lambda: NOW + hours * 3600)

    if is_taken:
        assert ask().release == release.id
        return
    with pytest.raises(
        PromotionRefused, match="PASSED in staging 24 hours ago; production takes evidence of"
    ):
        ask()


def test_nothing_is_promoted_to_the_first_environment(
    account: Aws, env: Environment, release: Release, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="promotes_from is null"):
        require_evidence(release, env, account, tmp_path)


def test_production_scales_by_the_capacity_measured_in_staging(
    account: Aws, production: Environment, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release), account)

    assert find_capacity(release.id, production, account, tmp_path) == MeasuredCapacity(40.0)


def test_a_capacity_of_another_instance_type_is_not_used(
    account: Aws, make_env: MakeEnv, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release), account)
    larger = make_env(name="production", promotes_from="staging", endpoint={"instance_type": "ml.m5.xlarge"})

    assert find_capacity(release.id, larger, account, tmp_path) is None
