"""Exceptions to the dependency audit: each has a reason and an end date."""

from datetime import date
from types import ModuleType
from typing import Any

import pytest

from tests.workflows.scripts import ROOT, script

TODAY = date(2026, 11, 1)


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    return script("audit")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"reason": " "}, "has no reason"),
        ({"until": None}, "has no date"),
        ({"until": date(2026, 10, 31)}, "expired on 2026-10-31"),
        ({"until": date(2027, 10, 31)}, "at most 92 days"),
    ],
)
def test_an_exception_has_a_reason_and_an_end(
    audit: ModuleType, change: dict[str, Any], problem: str | None
) -> None:
    exception = {"id": "GHSA-1", "reason": "not reached", "until": date(2026, 12, 1)} | change
    found = audit.problems([exception], TODAY)

    assert [problem in line for line in found] == ([True] if problem else [])


def test_every_pin_is_audited_under_the_version_that_advisories_know(audit: ModuleType) -> None:
    pins = "--hash\ntorch==2.13.0+cpu\nyarl==1.2 \\\n    --hash=sha256:00\n# numpy==1\ntomli==2 ; python_version<'3'\n"

    assert audit.without_local_versions(pins).split() == ["torch==2.13.0", "yarl==1.2", "tomli==2"]
    for path in audit.PINS:
        text = (ROOT / path).read_text()
        assert len(audit.without_local_versions(text).split()) == sum(
            "==" in line and not line.startswith(("#", "-")) for line in text.splitlines()
        )
