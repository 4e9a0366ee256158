"""ECR's image scans: complete at once; their findings are those of the fault `finding`."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from local_aws.errors import AwsError
from local_aws.places import account_id
from local_aws.registry.store import StoredImage


def scan_of(image: StoredImage, repository: str, found: Mapping[str, str]) -> dict[str, Any]:
    """Write DescribeImageScanFindings' answer; `found` maps vulnerability to severity, in ECR's words."""
    findings = [
        {
            "name": name,
            "severity": severity,
            "attributes": [
                {"key": "package_name", "value": "libexample"},
                {"key": "package_version", "value": "1.0"},
            ],
        }
        for name, severity in sorted(found.items())
    ]
    return {
        "registryId": account_id(),
        "repositoryName": repository,
        "imageId": {"imageDigest": image.digest},
        "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
        "imageScanFindings": {
            "imageScanCompletedAt": image.pushed_at,
            "vulnerabilitySourceUpdatedAt": image.pushed_at,
            "findings": findings,
            "findingSeverityCounts": dict(Counter(found.values())),
        },
    }


def no_scan(image: StoredImage, repository: str) -> AwsError:
    """Return ECR's error for a repository without scan on push."""
    return AwsError(
        "ScanNotFoundException",
        f"Image scan does not exist for the image with '{{imageDigest:'{image.digest}', imageTag:'null'}}' in "
        f"the repository with name '{repository}' in the registry with id '{account_id()}'",
    )
