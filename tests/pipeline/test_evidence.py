"""Evidence says what its gates say, and is kept only for exactly what was measured."""

from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.gates import Gate, Verdict
from pipeline.verification.evidence import Evidence, already_passed, read_evidence

PASSED = Gate(
    name="latency", metric="p99_ms", limit=500, measured=20, unit="ms", verdict=Verdict.PASSED, reason="r"
)
SAME = {"release": "r1", "endpoint": "digits", "config": "c1", "profile": "quick"}


def evidence(**changes: Any) -> Evidence:
    found: dict[str, Any] = {**SAME, "environment": "staging", "started": 1.0, "finished": 2.0}
    found |= {"verdict": "passed", "gates": [PASSED], "capacity": None, "load": ["staging/load/scaling.json"]}
    return Evidence.model_validate(found | changes)


def test_a_document_read_back_is_the_evidence_that_was_written() -> None:
    assert read_evidence(evidence().document()) == evidence()
    assert evidence().document()["schema"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"gates": []},
        {"verdict": "failed"},
        {"gates": [PASSED.model_copy(update={"verdict": Verdict.FAILED})]},
        {"gates": [PASSED.model_copy(update={"verdict": Verdict.INCONCLUSIVE})]},
    ],
)
def test_a_verdict_that_does_not_follow_from_the_gates_does_not_load(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="does not follow from the gates"):
        evidence(**changes)


@pytest.mark.parametrize("document", [None, {}, {"schema": 2}, "passed"])
def test_what_is_no_evidence_of_this_version_is_none(document: Any) -> None:
    assert read_evidence(document) is None


@pytest.mark.parametrize("changed", SAME)
def test_another_release_endpoint_config_or_profile_is_measured_anew(changed: str) -> None:
    assert already_passed(evidence(), **SAME)
    assert not already_passed(evidence(), **(SAME | {changed: "other"}))


def test_evidence_that_did_not_pass_is_measured_anew() -> None:
    failed = evidence(verdict="failed", gates=[PASSED.model_copy(update={"verdict": Verdict.FAILED})])

    assert not already_passed(failed, **SAME)
    assert not already_passed(None, **SAME)
