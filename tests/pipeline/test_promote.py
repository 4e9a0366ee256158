"""Promotion: refused unless exactly this release PASSED in the environment before."""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.autoscaling.targets import MeasuredCapacity
from pipeline.cli.step_runner import run_recorded
from pipeline.commands.promote import command as promote_command
from pipeline.config import Environment
from pipeline.errors import ConfigError, PromotionRefused
from pipeline.gates import Verdict, overall
from pipeline.model import Model
from pipeline.promotion.accepted_gates import parse_accepted, used
from pipeline.promotion.required_evidence import require_evidence
from pipeline.release import Release
from pipeline.run import Run
from pipeline.state.audit import audit_lines
from pipeline.verification.evidence import Evidence, evidence_key
from pipeline.verification.stored_evidence import find_capacity
from pipeline.verification.unmeasured import unchecked_gates
from tests.pipeline.clocks import FakeClock

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


def keep(found: Evidence, run: Run) -> None:
    run.aws.put_json(evidence_key(found.release, found.environment), found.document())


def test_passed_evidence_of_this_release_lets_it_through(
    account: Run, production: Environment, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release), account)
    run = account.in_environment(production)

    assert require_evidence(release, run) == evidence(release)
    copied = json.loads((run.build / "production" / "evidence-staging.json").read_text())
    assert copied == evidence(release).document(), "a GitHub release has it, also of a promotion by hand"


def test_a_release_that_nobody_verified_is_refused(
    account: Run, production: Environment, release: Release, tmp_path: Path
) -> None:
    with pytest.raises(PromotionRefused, match=f"Nobody has verified release {release.id} in staging"):
        require_evidence(release, account.in_environment(production))


def test_evidence_of_another_release_counts_for_nothing(
    account: Run, production: Environment, make_test_release: MakeRelease, tmp_path: Path
) -> None:
    """Neither in S3 nor in the build folder, where the last run's file may still lie."""
    passed, other = make_test_release("a"), make_test_release("b")
    keep(evidence(passed), account)
    evidence(passed).save(tmp_path / "staging" / "evidence.json")

    with pytest.raises(PromotionRefused, match="Nobody has verified"):
        require_evidence(other, account.in_environment(production))


@pytest.mark.parametrize("verdict", ["failed", "inconclusive"])
def test_whatever_is_not_passed_is_refused_with_its_gates(
    account: Run, production: Environment, release: Release, tmp_path: Path, verdict: str
) -> None:
    keep(evidence(release, verdict), account)

    with pytest.raises(
        PromotionRefused, match=f"{verdict.upper()} in staging: latency {verdict}: as measured"
    ):
        require_evidence(release, account.in_environment(production))


def test_evidence_in_s3_goes_before_the_file_beside_the_build(
    account: Run, production: Environment, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release, "failed"), account)
    evidence(release).save(tmp_path / "staging" / "evidence.json")

    with pytest.raises(PromotionRefused):
        require_evidence(release, account.in_environment(production))


def test_evidence_that_was_handed_over_as_a_file_is_taken(
    account: Run, production: Environment, release: Release, tmp_path: Path
) -> None:
    evidence(release).save(tmp_path / "staging" / "evidence.json")

    assert require_evidence(release, account.in_environment(production)).release == release.id


def test_a_verdict_that_its_gates_do_not_bear_out_is_no_evidence(
    account: Run, production: Environment, release: Release, tmp_path: Path
) -> None:
    """Somebody wrote `passed` over a failed gate."""
    forged = evidence(release, "failed").document() | {"verdict": "passed"}
    account.aws.put_json(evidence_key(release.id, "staging"), forged)
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "evidence.json").write_text(json.dumps(forged))

    with pytest.raises(PromotionRefused):
        require_evidence(release, account.in_environment(production))


@pytest.mark.parametrize(("hours", "is_taken"), [(23.9, True), (24.1, False)])
def test_evidence_grows_old(
    account: Run, make_env: MakeEnv, release: Release, tmp_path: Path, hours: float, *, is_taken: bool
) -> None:
    env = make_env(name="production", promotes_from="staging", promotion={"evidence_age_hours": 24})
    keep(evidence(release), account)
    later = replace(account.aws, clock=FakeClock(NOW + hours * 3600))

    def ask() -> Evidence:
        return require_evidence(release, Run(env, later, tmp_path))

    if is_taken:
        assert ask().release == release.id
        return
    with pytest.raises(
        PromotionRefused, match="PASSED in staging 24 hours ago; production takes evidence of"
    ):
        ask()


def test_nothing_is_promoted_to_the_first_environment(
    account: Run, env: Environment, release: Release, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="promotes_from is null"):
        require_evidence(release, account)


def test_production_scales_by_the_capacity_measured_in_staging(
    account: Run, production: Environment, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release), account)

    assert find_capacity(release.id, account.in_environment(production)) == MeasuredCapacity(40.0)


def test_a_capacity_of_another_instance_type_is_not_used(
    account: Run, make_env: MakeEnv, release: Release, tmp_path: Path
) -> None:
    keep(evidence(release), account)
    larger = make_env(name="production", promotes_from="staging", endpoint={"instance_type": "ml.m5.xlarge"})

    assert find_capacity(release.id, account.in_environment(larger)) is None


def unchecked_evidence(release: Release, env: Environment, **changes: Any) -> Evidence:
    gates = [gate.document() for gate in unchecked_gates(env)]
    return evidence(release, "inconclusive", gates=gates, capacity=None, notes=release.notes, **changes)


def test_an_unchecked_release_is_refused_unless_that_is_accepted(
    account: Run, production: Environment, release: Release
) -> None:
    unchecked = release.model_copy(update={"unchecked": True})
    keep(unchecked_evidence(unchecked, account.env), account)
    run = account.in_environment(production)

    with pytest.raises(PromotionRefused, match=f"{release.id} is UNCHECKED") as caught:
        require_evidence(unchecked, run)
    assert "promote --env production --unchecked" in caught.value.fix
    assert "python -m golden record" in caught.value.fix
    assert require_evidence(unchecked, run, unchecked=True).verdict is Verdict.INCONCLUSIVE


def test_what_is_accepted_is_that_nothing_was_checked_not_that_something_else_is_unclear(
    account: Run, production: Environment, release: Release
) -> None:
    """Nor does `--unchecked` promote a release that has golden requests and could not be judged."""
    unchecked = release.model_copy(update={"unchecked": True})
    run = account.in_environment(production)
    for verdict, wanted in [("inconclusive", unchecked), ("failed", unchecked), ("inconclusive", release)]:
        keep(evidence(release, verdict), account)
        with pytest.raises(PromotionRefused, match=f"is {verdict.upper()} in staging"):
            require_evidence(wanted, run, unchecked=True)
    keep(unchecked_evidence(release, account.env), account)
    with pytest.raises(PromotionRefused, match="is INCONCLUSIVE in staging"):
        require_evidence(release, run, unchecked=True)


def test_nobody_has_verified_counts_for_an_unchecked_release_too(
    account: Run, production: Environment, release: Release
) -> None:
    with pytest.raises(PromotionRefused, match="Nobody has verified"):
        require_evidence(
            release.model_copy(update={"unchecked": True}), account.in_environment(production), unchecked=True
        )


def with_gates(release: Release, **verdicts: str) -> Evidence:
    """Return evidence with these gates, beside one that passed."""
    passed = evidence(release).gates[0]
    gates = [
        passed,
        *(
            passed.model_copy(update={"name": name, "verdict": Verdict(each)})
            for name, each in verdicts.items()
        ),
    ]
    documents = [gate.document() for gate in gates]
    return evidence(release, verdict=overall(gates), gates=documents)


@pytest.mark.parametrize("verdict", ["failed", "inconclusive"])
def test_a_worse_release_is_promoted_only_when_a_person_accepts_that_gate(
    account: Run, production: Environment, release: Release, verdict: str
) -> None:
    found = with_gates(release, quality=verdict)
    keep(found, account)
    run = account.in_environment(production)
    with pytest.raises(PromotionRefused, match=f"quality {verdict}") as refused:
        require_evidence(release, run)

    assert '`python -m pipeline promote --env production --accept quality="…"`' in refused.value.fix
    assert require_evidence(release, run, accept={"quality": "harder labels"}) == found


def test_accepting_one_gate_accepts_no_other(account: Run, production: Environment, release: Release) -> None:
    keep(with_gates(release, quality="failed", agreement="failed"), account)
    run = account.in_environment(production)

    with pytest.raises(PromotionRefused, match="agreement failed") as refused:
        require_evidence(release, run, accept={"quality": "harder labels"})
    assert "quality failed" not in refused.value.what


def test_a_gate_that_is_measured_cannot_be_accepted(
    account: Run, production: Environment, release: Release
) -> None:
    keep(with_gates(release, quality="failed", errors="failed"), account)

    with pytest.raises(PromotionRefused, match="errors failed") as refused:
        require_evidence(release, account.in_environment(production), accept={"quality": "harder labels"})
    assert "--accept" not in refused.value.fix


def test_only_the_verdicts_that_needed_it_are_kept_as_accepted(release: Release) -> None:
    found = with_gates(release, quality="failed", agreement="passed")

    assert used(found, {"quality": "why", "agreement": "why not"}) == {"quality": "why"}


@pytest.mark.parametrize("words", ["latency=it is fine", "quality", "quality=", "quality= ", "banana=yes"])
def test_accepting_needs_a_gate_that_can_be_accepted_and_a_reason(words: str) -> None:
    with pytest.raises(
        ConfigError, match=r"--accept .* names no gate of \['quality', 'agreement'\] with a reason"
    ):
        parse_accepted([words])
    assert parse_accepted(["", "quality=harder = better", "agreement=new labels"]) == {
        "quality": "harder = better",
        "agreement": "new labels",
    }


@pytest.mark.parametrize("fails", [False, True])
def test_the_audit_trail_says_what_was_accepted_and_why(account: Run, release: Release, fails: bool) -> None:
    """Also when the promotion fails afterwards."""
    accepted = {"quality": "harder labels"}

    class Result(Model):
        release: str
        accepted: dict[str, str]

    def work() -> Result:
        if fails:
            error = PromotionRefused("no", fix="none")
            error.accepted = accepted
            raise error
        return Result(release=release.id, accepted=accepted)

    with contextlib.suppress(PromotionRefused):
        run_recorded(promote_command, account, release.id, work)
    (line,) = audit_lines(account, 5)

    assert line.accepted == accepted
    assert "(accepted quality: harder labels)" in str(line)
