"""The release in the Model Registry: one package version, found by its description."""

import logging
from typing import Any

from pipeline.aws import AwsClient
from pipeline.aws.calls import Call
from pipeline.release import UNCHECKED, Release
from pipeline.run import Run

log = logging.getLogger(__name__)


def package_of(release_id: str, aws: AwsClient) -> dict[str, Any] | None:
    """Return the summary of the release's package version; None when it is not registered."""
    packages = aws.pages(
        "sagemaker",
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=aws.place.model_package_group,
    )
    wanted = f"release {release_id}"
    return next((each for each in packages if each.get("ModelPackageDescription") == wanted), None)


def approve(release: Release, run: Run) -> None:
    """Set the release's package to Approved, once."""
    package = package_of(release.id, run.aws)
    if package is None:
        log.info(
            f"release {release.id} is not in model group {run.aws.place.model_package_group}: nothing to approve"
        )
        return
    if package["ModelApprovalStatus"] == "Approved":
        return
    params = {"ModelPackageArn": package["ModelPackageArn"], "ModelApprovalStatus": "Approved"}
    params |= {"ApprovalDescription": UNCHECKED} if release.unchecked else {}
    how = ", UNCHECKED," if release.unchecked else ""
    says = f"approve release {release.id}{how} in the registry"
    call = Call("sagemaker", "update_model_package", params, says)
    run.apply([call])
