"""ECR's own scan of an image: wait for it, read it, and judge it by the severity that the environment accepts."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.aws import AwsClient
from pipeline.aws.waiting import wait_until
from pipeline.config import Environment
from pipeline.errors import AwsRefused, ScanNotPassed
from pipeline.publishing.ignored_vulnerabilities import IGNORED, read_ignored
from pipeline.release import Image
from pipeline.run import Run

log = logging.getLogger(__name__)

SEVERITIES = ("INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")  # UNDEFINED and UNTRIAGED are not rated
DONE = frozenset({"COMPLETE", "ACTIVE"})  # ACTIVE: enhanced scanning goes on, with what it has found
UNDER_WAY = frozenset({"PENDING", "IN_PROGRESS"})
PAUSE_SECONDS = 5.0
NO_SCAN = "ScanNotFoundException"


@dataclass(frozen=True)
class Finding:
    """One vulnerability in one package; severity in ECR's words."""

    vulnerability: str
    severity: str
    package: str

    def __str__(self) -> str:
        return f"{self.vulnerability} ({self.severity}, {self.package})"


@dataclass(frozen=True)
class Scan:
    """The status of the scan (ECR's; None: the image has not been scanned) and its findings."""

    status: str | None
    findings: tuple[Finding, ...] = ()


def stopping(findings: Iterable[Finding], stops_at: str, ignored: Collection[str]) -> tuple[Finding, ...]:
    """Return the findings of severity `stops_at` or worse that are not ignored; none where it is `never`."""
    if stops_at == "never":
        return ()
    bad = SEVERITIES[SEVERITIES.index(stops_at.upper()) :]
    return tuple(each for each in findings if each.severity in bad and each.vulnerability not in ignored)


def require_scanned(image: Image, run: Run) -> None:
    """Return when ECR's scan has no finding that stops a release of this environment.

    An image that was never scanned passes, with a warning that names the commands to scan it. Raises ScanNotPassed
    for findings that stop it, and when the scan has no result within `promotion.scan_wait_seconds`.
    """
    stops_at = run.env.promotion.scan_stops_at
    if image.is_source_hash or stops_at == "never":
        return
    scan = _wait(image, run)
    if scan.status is None:
        log.warning(_unscanned(image, run.env))
        return
    if scan.status not in DONE:
        raise ScanNotPassed(
            f"ECR's scan of {image.digest} is {scan.status}: it has no result.",
            fix=f"Run the same command again later, or have it scanned: {_start_scan(image, run.env)}; "
            "promotion.scan_stops_at: never does without.",
        )
    day = datetime.fromtimestamp(run.clock.now(), UTC).date()
    ignored = {each.vulnerability for each in read_ignored() if each.applies(day)}
    bad = stopping(scan.findings, stops_at, ignored)
    if bad:
        raise ScanNotPassed(
            f"ECR's scan of {image.digest} has found {', '.join(map(str, bad))}.",
            fix=f"Publish an image without; or, until a day and for a reason, ignore it in {IGNORED}.",
        )
    log.info(f"ECR's scan: {len(scan.findings)} findings, none of severity {stops_at} or worse that counts")


def _wait(image: Image, run: Run) -> Scan:
    """Return the scan once it has ended, or as it is when the time is up."""
    return wait_until(
        lambda: read_scan(image, run.aws),
        lambda scan: not _may_come(scan, run.aws),
        run.env.promotion.scan_wait_seconds,
        run.clock,
        report=lambda scan, _: log.info(
            f"ECR's scan of the image is {scan.status or 'not begun'}: waiting for it"
        ),
        pause=lambda _: PAUSE_SECONDS,
    )


def _may_come(scan: Scan, aws: AwsClient) -> bool:
    """Say whether a scan is under way, or follows the push automatically."""
    return scan.status in UNDER_WAY or (scan.status is None and _scans_on_push(aws))


def _scans_on_push(aws: AwsClient) -> bool:
    found = aws.read("ecr", "describe_repositories", repositoryNames=[aws.place.repository])
    settings = found["repositories"][0].get("imageScanningConfiguration") or {}
    return bool(settings.get("scanOnPush"))


def read_scan(image: Image, aws: AwsClient) -> Scan:
    """Read the scan of an image, with all pages of its findings."""
    place = {"repositoryName": aws.place.repository, "imageId": {"imageDigest": image.digest}}
    findings: list[Finding] = []
    further: dict[str, str] = {}
    while True:
        try:
            answer = aws.read("ecr", "describe_image_scan_findings", **place, **further)
        except AwsRefused as error:
            if error.code == NO_SCAN:
                return Scan(None)
            raise
        findings += findings_of(answer.get("imageScanFindings") or {})
        if not (token := answer.get("nextToken")):
            return Scan(str(answer["imageScanStatus"]["status"]), tuple(findings))
        further = {"nextToken": token}


def findings_of(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the findings of basic and of enhanced scanning, which have shapes of their own."""
    for each in document.get("findings", []):
        attributes = {one["key"]: one.get("value", "") for one in each.get("attributes", [])}
        package = f"{attributes.get('package_name', '?')} {attributes.get('package_version', '')}".strip()
        yield Finding(str(each["name"]), str(each["severity"]), package)
    for each in document.get("enhancedFindings", []):
        details = each.get("packageVulnerabilityDetails") or {}
        packages = ", ".join(
            f"{one['name']} {one.get('version', '')}" for one in details.get("vulnerablePackages", [])
        )
        name = str(details.get("vulnerabilityId") or each.get("title") or "a finding")
        yield Finding(name, str(each["severity"]), packages or "?")


def _unscanned(image: Image, env: Environment) -> str:
    place = env.aws
    return (
        f"warning: ECR has not scanned {image.digest}. Have it scanned: {_start_scan(image, env)}; and what is "
        f"pushed from now on: aws ecr put-image-scanning-configuration --region {place.region} --repository-name "
        f"{place.repository} --image-scanning-configuration scanOnPush=true"
    )


def _start_scan(image: Image, env: Environment) -> str:
    place = env.aws
    return (
        f"aws ecr start-image-scan --region {place.region} --repository-name {place.repository} "
        f"--image-id imageDigest={image.digest}"
    )
