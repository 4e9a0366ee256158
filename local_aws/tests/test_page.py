"""docs/local-aws.md names what there is: every setting, every kind of fault, and tests that exist."""

import re
from dataclasses import fields
from pathlib import Path

from local_aws.faults import KINDS
from local_aws.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "local-aws.md").read_text()


def test_every_setting_is_on_the_page() -> None:
    assert [f.name for f in fields(Settings) if f"`{f.name.upper()}`" not in PAGE] == []


def test_every_kind_of_fault_is_on_the_page() -> None:
    assert [kind for kind in KINDS if f"| `{kind}` |" not in PAGE] == []


def test_the_tests_that_the_page_names_exist() -> None:
    there = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))

    assert len(named) > 15
    assert [name for name in sorted(named) if f"def {name}(" not in there] == []
