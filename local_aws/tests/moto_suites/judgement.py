"""Compare the results of moto's tests with the listed differences, and write the page (pure)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypedDict
from xml.etree import ElementTree


class Difference(TypedDict):
    """Why some tests fail here: they all say what the regular expression `says` finds."""

    reason: str
    says: str
    tests: list[str]  # SUITE/FILE::NAME, as names of files are matched; every test that matches fails


@dataclass(frozen=True)
class Ended:
    """Result of one test: `passed`, `skipped` or `failed`, and its message."""

    verdict: str
    said: str = ""


def verdicts(report: ElementTree.Element) -> dict[str, Ended]:
    """Read how each test ended, by SUITE/FILE::NAME, from pytest's JUnit report."""
    found = {}
    for case in report.iter("testcase"):
        suite, _, file = case.attrib["classname"].removeprefix("tests.").partition(".")
        said = {child.tag: child.get("message", "") for child in case}
        kind = (
            "failed" if {"failure", "error"} & said.keys() else "skipped" if "skipped" in said else "passed"
        )
        words = " ".join(said.get(tag, "") for tag in ("failure", "error", "skipped"))
        found[f"{suite}/{file}::{case.attrib['name']}"] = Ended(kind, words.strip())
    return found


def matching(test: str, differences: Iterable[Difference]) -> list[Difference]:
    """Return the differences that name a test."""
    return [each for each in differences if any(fnmatchcase(test, name) for name in each["tests"])]


def surprises(found: Mapping[str, Ended], differences: Sequence[Difference]) -> list[str]:
    """Say what the differences do not explain: a failure of no or another reason, a pass, a name of nothing."""
    judged = [
        f"{test} {line}"
        for test, ended in sorted(found.items())
        for line in _surprises_of(ended, matching(test, differences))
    ]
    failed = [test for test, ended in found.items() if ended.verdict == "failed"]
    return judged + [
        f"no test is called {name!r} and fails: {each['reason']}"
        for each in differences
        for name in each["tests"]
        if not any(fnmatchcase(test, name) for test in failed)
    ]


def _surprises_of(ended: Ended, known: list[Difference]) -> Iterator[str]:
    if len(known) > 1:
        yield f"has {len(known)} reasons; one is enough"
    if ended.verdict == "failed" and not known:
        yield f"fails without a reason: {ended.said}"
    for each in known:
        if ended.verdict == "failed" and not re.search(each["says"], ended.said):
            yield f"fails, not with {each['says']!r} but with: {ended.said}"
        if ended.verdict == "passed":
            yield f"passes, though it must fail: {each['reason']}"


def page(version: str, found: Mapping[str, Ended], differences: Sequence[Difference]) -> str:
    """Write docs/moto-suites.md: counts by suite, what fails and why, what moto skips. The same run, the same text."""
    counts: dict[str, Counter[str]] = {}
    for test, ended in sorted(found.items()):
        for suite in (test.partition("/")[0], "all"):
            counts.setdefault(suite, Counter())[ended.verdict] += 1
    counts["all"] = counts.pop("all")
    skips = Counter(ended.said for ended in found.values() if ended.verdict == "skipped")
    return "\n".join(
        [
            "# moto's own suites",
            "",
            "`python -m moto_suites`, typed in `local_aws/tests`, runs moto's server-mode tests against this AWS, a new one for",
            f"each test, and writes this page with `--write` (moto {version}). It exits with 1 when a test fails that",
            "[differences.json](../tests/moto_suites/differences.json) does not list, fails with another error than is written",
            "there, or passes although it is listed, and when this page is out of date. The tests are not copied here: pip",
            "fetches moto's source distribution (Apache 2.0, 9 MB) by its pinned hash. Input that AWS itself or this AWS of one",
            "region refuses is replaced before the run: regions, role ARNs, models without a container, capitals that AWS does",
            "not keep in ARNs, sharding over one instance, actions that are no ARN, storage resolutions other than 1 and 60",
            "(`PREPARED` in [\\_\\_main\\_\\_.py](../tests/moto_suites/__main__.py)).",
            "",
            "| suite | tests | pass | fail, as below | skipped by moto in server mode |",
            "|---|---|---|---|---|",
            *(
                f"| {s} | {sum(c.values())} | {c['passed']} | {c['failed']} | {c['skipped']} |"
                for s, c in counts.items()
            ),
            "",
            "## What fails, and why",
            "",
            "| reason | tests |",
            "|---|---|",
            *(f"| {each['reason']} | {_named(each, found)} |" for each in differences),
            "",
            "## What moto skips",
            "",
            "| tests | moto says |",
            "|---|---|",
            *(f"| {count} | {said} |" for said, count in sorted(skips.items())),
            "",
        ]
    )


def _named(difference: Difference, found: Mapping[str, Ended]) -> str:
    failed = [
        test for test, ended in found.items() if ended.verdict == "failed" and matching(test, [difference])
    ]
    names = []
    for name in difference["tests"]:
        many = sum(fnmatchcase(test, name) for test in failed)
        names.append(
            f"all {many} of `{name[:-3]}`" if name.endswith("::*") else f"`{name.replace('[[]', '[')}`"
        )
    return f"{len(failed)}: {', '.join(names)}"
