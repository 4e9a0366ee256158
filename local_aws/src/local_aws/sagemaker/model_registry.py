"""moto's Model Registry, with an UpdateModelPackage that keeps omitted fields."""

from typing import Any

from moto.sagemaker import urls
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends


class RegistryBackend(SageMakerModelBackend):  # type: ignore[misc]
    """A subclass of moto's backend, which would clear approval and metadata that an update omits."""

    @property
    def _url_module(self) -> Any:
        return urls

    def update_model_package(
        self,
        model_package_arn: str,
        model_approval_status: str | None,
        approval_description: str | None,
        customer_metadata_properties: dict[str, str] | None,
        **further: Any,
    ) -> str:
        """Update a package; metadata properties are added to those it has."""
        package = self.describe_model_package(model_package_arn)
        kept = package.customer_metadata_properties or {}
        arn: str = super().update_model_package(
            model_package_arn,
            model_approval_status or package.model_approval_status,
            approval_description or package.approval_description,
            {**kept, **(customer_metadata_properties or {})},
            **further,
        )
        return arn


def install() -> None:
    """Install it in moto's SageMaker in this process, before the first request."""
    seam: Any = sagemaker_backends
    seam.backend = RegistryBackend
    seam.clear()
