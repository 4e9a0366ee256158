"""The release in the Model Registry: one package version, found by its description."""

from typing import Any

from pipeline.aws import Aws
from pipeline.aws.calls import Call
from pipeline.release import Release
from pipeline.state.records import Say


def package_of(release_id: str, aws: Aws) -> dict[str, Any] | None:
    """Return the summary of the release's package version; None when it is not registered."""
    packages = aws.pages(
        "sagemaker",
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=aws.env.aws.model_package_group,
    )
    wanted = f"release {release_id}"
    return next((each for each in packages if each.get("ModelPackageDescription") == wanted), None)


def approve(release: Release, aws: Aws, say: Say) -> None:
    """Set the release's package to Approved, once."""
    package = package_of(release.id, aws)
    if package is None:
        say(
            f"release {release.id} is not in model group {aws.env.aws.model_package_group}: nothing to approve"
        )
        return
    if package["ModelApprovalStatus"] == "Approved":
        return
    params = {"ModelPackageArn": package["ModelPackageArn"], "ModelApprovalStatus": "Approved"}
    call = Call("sagemaker", "update_model_package", params, f"approve release {release.id} in the registry")
    say(call.says)
    aws.apply(call)
