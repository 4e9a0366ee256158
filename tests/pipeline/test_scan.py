"""Findings of ECR in an image stop a release, unless they are ignored until a day and for a reason."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from typing_extensions import override

from pipeline.aws import AwsClient
from pipeline.config import Environment
from pipeline.errors import ConfigError, ScanNotPassed
from pipeline.promotion.promote import promote
from pipeline.publishing.ignored_vulnerabilities import IGNORED, problems, read_ignored
from pipeline.publishing.scan import Finding, findings_of, require_scanned, stopping
from pipeline.release import Image, Release, make_release
from pipeline.run import Run
from tests.pipeline.clocks import FakeClock
from tests.pipeline.scene import ROOT
from tests.pipeline.steps import keep_evidence

TODAY = date(2026, 11, 1)
FOUND = [
    Finding(f"CVE-{severity}", severity, "libx 1") for severity in ("UNDEFINED", "LOW", "HIGH", "CRITICAL")
]
Said = Callable[[], list[str]]
MakeEnv = Callable[..., Environment]
IMAGE = Image(
    uri=f"digits@sha256:{'a' * 64}", digest=f"sha256:{'a' * 64}", tag="a" * 40, is_source_hash=False
)


class Ecr(AwsClient):
    """Answers one scan after the other; the last one again and again. None: there is no scan yet."""

    def __init__(
        self,
        env: Environment,
        *statuses: str,
        on_push: bool = True,
        findings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.time = FakeClock(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
        super().__init__(env.aws, self.time)
        self.env, self.statuses, self.on_push = env, list(statuses), on_push
        self.findings = [{"name": name, "severity": severity} for name, severity in findings.items()]

    @override
    def read(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        if operation == "describe_repositories":
            return {"repositories": [{"imageScanningConfiguration": {"scanOnPush": self.on_push}}]}
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        found = self.findings if status in {"COMPLETE", "ACTIVE"} else []
        half = len(found) // 2
        if params.get("nextToken"):
            return {"imageScanStatus": {"status": status}, "imageScanFindings": {"findings": found[half:]}}
        further = {"nextToken": "2"} if half else {}
        page = {"findings": found[:half] if half else found}
        return {"imageScanStatus": {"status": status}, "imageScanFindings": page, **further}


def judge(ecr: Ecr) -> None:
    require_scanned(IMAGE, Run(ecr.env, ecr, Path("build")))


@pytest.mark.parametrize(
    ("stops_at", "ignored", "stop"),
    [
        ("critical", set(), ["CVE-CRITICAL"]),
        ("high", set(), ["CVE-HIGH", "CVE-CRITICAL"]),
        ("high", {"CVE-CRITICAL"}, ["CVE-HIGH"]),
        ("low", {"CVE-HIGH"}, ["CVE-LOW", "CVE-CRITICAL"]),
        ("never", set(), []),
    ],
)
def test_findings_of_the_severity_and_worse_stop_unless_they_are_ignored(
    stops_at: str, ignored: set[str], stop: list[str]
) -> None:
    assert [each.vulnerability for each in stopping(FOUND, stops_at, ignored)] == stop


def test_basic_and_enhanced_findings_are_both_understood() -> None:
    attributes = [{"key": "package_name", "value": "zlib"}, {"key": "package_version", "value": "1.2"}]
    enhanced = {
        "severity": "HIGH",
        "packageVulnerabilityDetails": {
            "vulnerabilityId": "CVE-2", "vulnerablePackages": [{"name": "glibc", "version": "2.36"}],
        },
    }  # fmt: skip
    document = {
        "findings": [{"name": "CVE-1", "severity": "LOW", "attributes": attributes}],
        "enhancedFindings": [enhanced, {"severity": "LOW", "title": "a leaked key"}],
    }

    assert [str(each) for each in findings_of(document)] == [
        "CVE-1 (LOW, zlib 1.2)", "CVE-2 (HIGH, glibc 2.36)", "a leaked key (LOW, ?)",
    ]  # fmt: skip


def test_a_scan_under_way_is_waited_for_and_every_page_of_it_is_read(env: Environment) -> None:
    ecr = Ecr(env, "PENDING", "IN_PROGRESS", "COMPLETE", findings={"CVE-1": "LOW", "CVE-2": "CRITICAL"})

    with pytest.raises(ScanNotPassed, match=r"has found CVE-2 \(CRITICAL, \?\)\.\n"):
        judge(ecr)
    assert sum(ecr.time.slept) == 10


@pytest.mark.parametrize("status", ["IN_PROGRESS", "FAILED", "UNSUPPORTED_IMAGE"])
def test_a_scan_without_a_result_is_no_success(make_env: MakeEnv, status: str) -> None:
    ecr = Ecr(make_env(promotion={"scan_wait_seconds": 60}), status)

    with pytest.raises(ScanNotPassed, match=f"is {status}: it has no result"):
        judge(ecr)
    assert sum(ecr.time.slept) == (60 if status == "IN_PROGRESS" else 0)


def test_what_was_ignored_stops_again_once_its_day_has_passed(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.chdir(tmp_path)
    ecr = Ecr(env, "COMPLETE", findings={"CVE-1": "CRITICAL"})
    for day, passes in ((TODAY, True), (date(2026, 10, 31), False)):
        IGNORED.write_text(f'ignore: [{{vulnerability: CVE-1, reason: "until {day}: not reached"}}]')
        if passes:
            judge(ecr)
            assert said()[-1].startswith("ECR's scan: 1 findings, none")
        else:
            with pytest.raises(ScanNotPassed, match="CVE-1"):
                judge(ecr)


@pytest.mark.parametrize(
    "rule",
    [
        "{vulnerability: CVE-1}",
        "{vulnerability: CVE-1, reason: because}",
        '{vulnerability: CVE-1, reason: "until 2026-11-31: no such day"}',
        '{vulnerability: CVE-1, reason: "until 2026-11-30: "}',
        '{package: {name: zlib}, reason: "until 2026-11-30: of all its vulnerabilities"}',
    ],
)
def test_an_exception_without_vulnerability_day_or_reason_is_refused(rule: str, tmp_path: Path) -> None:
    path = tmp_path / ".grype.yaml"
    path.write_text(f"ignore: [{rule}]")

    with pytest.raises(ConfigError, match="ignores without vulnerability, day or reason"):
        read_ignored(path)


@pytest.mark.parametrize(
    ("until", "problem"),
    [("2026-11-01", None), ("2026-10-31", "held until"), ("2027-06-01", "at most 92 days")],
)
def test_an_exception_ends_and_not_too_late(until: str, problem: str | None, tmp_path: Path) -> None:
    path = tmp_path / ".grype.yaml"
    path.write_text(f'ignore: [{{vulnerability: CVE-1, reason: "until {until}: not reached"}}]')
    found = problems(read_ignored(path), TODAY)

    assert [bool(problem) and str(problem) in line for line in found] == ([True] if problem else [])


def test_every_exception_of_this_repository_holds_today() -> None:
    assert problems(read_ignored(ROOT / IGNORED), datetime.now(UTC).date()) == []


def pushed(account: Run, release: Release) -> Release:
    """Return the release with an image that ECR has; moto finds one vulnerability, HIGH, in every scanned image."""
    name = account.env.aws.repository
    manifest = '{"schemaVersion": 2, "config": {"digest": "sha256:0", "size": 1}, "layers": []}'
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    put = account.aws.read(
        "ecr",
        "put_image",
        repositoryName=name,
        imageManifest=manifest,
        imageManifestMediaType=kind,
        imageTag="a",
    )
    digest = str(put["image"]["imageId"]["imageDigest"])
    image = release.image.model_copy(update={"uri": f"digits@{digest}", "digest": digest})
    return make_release(image, release.weights, commit=None, dirty=False, run_url=None)


def test_what_was_found_in_the_image_stops_a_promotion_before_anything_is_done(
    account: Run, make_env: MakeEnv, release: Release, tmp_path: Path
) -> None:
    changes = {"name": "production", "promotes_from": "staging", "promotion": {"scan_stops_at": "high"}}
    production, found = make_env(**changes), pushed(account, release)
    keep_evidence(found, account.aws)
    account.aws.made.clear()
    place = {"repositoryName": production.aws.repository, "imageId": {"imageDigest": found.image.digest}}
    account.aws.read("ecr", "start_image_scan", **place)

    with pytest.raises(ScanNotPassed, match="has found CVE-9999-9999"):
        promote(found, account.in_environment(production))
    assert account.aws.made == []


def test_an_image_that_nobody_scanned_passes_with_the_line_that_switches_scanning_on(
    account: Run, make_env: MakeEnv, release: Release, said: Said
) -> None:
    env = make_env(promotion={"scan_wait_seconds": 0})
    require_scanned(pushed(account, release).image, account.in_environment(env))

    assert said()[-1].startswith("warning: ECR has not scanned sha256:")
    assert "put-image-scanning-configuration --region eu-west-1 --repository-name digits" in said()[-1]
