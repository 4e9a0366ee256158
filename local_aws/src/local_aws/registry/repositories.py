"""The repositories of ECR: moto keeps them; addresses and the rule for tags are added here."""

import re
from typing import Any

import moto.ecr.models as moto_ecr

from local_aws.errors import AwsError
from local_aws.places import Place, account_id, path_of, region


class Repositories:
    """The repositories that exist, from whichever API they were created by (ECR or CloudFormation)."""

    def __init__(self, address: str) -> None:
        """`address` is the HOST:PORT clients push to. To be made before moto's first request."""
        self._address = address
        moto_ecr.Repository = _repository_class(address)

    def check(self, name: str) -> None:
        """Raise AwsError unless the repository exists."""
        if name not in self._backend.repositories:
            raise AwsError("RepositoryNotFoundException", missing(name))

    def exists(self, name: str) -> bool:
        """Check whether the registry of the current account and Region has a repository."""
        return name in self._backend.repositories

    def is_immutable(self, name: str, tag: str) -> bool:
        """Check whether a pushed tag must keep its image."""
        repository = self._backend.repositories.get(name)
        if repository is None:
            return False
        mutability = str(getattr(repository.image_tag_mutability, "value", repository.image_tag_mutability))
        if mutability.endswith("_WITH_EXCLUSION"):
            filters = repository.image_tag_mutability_exclusion_filters or []
            excluded = any(_matches(one["filter"], tag) for one in filters)
            return mutability.startswith("IMMUTABLE") != excluded
        return mutability == "IMMUTABLE"

    def scans_what_is_pushed(self, name: str) -> bool:
        """Check whether ImageScanningConfiguration has ScanOnPush, by ECR's own spelling or CloudFormation's."""
        settings = self._backend.repositories[name].image_scanning_configuration
        return any(key.lower() == "scanonpush" and str(on).lower() == "true" for key, on in settings.items())

    @property
    def _backend(self) -> Any:
        return moto_ecr.ecr_backends[account_id()][region()]


def missing(name: str) -> str:
    """Return ECR's error for a missing repository."""
    return f"The repository with name '{name}' does not exist in the registry with id '{account_id()}'"


def _matches(wildcard: str, tag: str) -> bool:
    """Match a tag with one of ECR's exclusion filters, in which only `*` is special."""
    return re.fullmatch(".*".join(map(re.escape, wildcard.split("*"))), tag) is not None


def _repository_class(address: str) -> type[Any]:
    """Subclass moto's repository with the address of this registry in place of amazonaws.com."""
    original: Any = getattr(moto_ecr.Repository, "_moto_original", moto_ecr.Repository)

    class Repository(original):  # type: ignore[misc]
        _moto_original = original

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            place = Place(self.registry_id, self.region_name)
            self.uri = f"{address}/{path_of(self.name, place)}"

    return Repository
