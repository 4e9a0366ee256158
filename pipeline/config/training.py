"""The training job on AWS."""

from typing import Annotated

from pydantic import Field, field_validator

from pipeline.model import Model


class Training(Model):
    """One training job. `data`: a local file or directory, or an s3:// prefix, in channel `training`."""

    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
    volume_gb: Annotated[int, Field(ge=1, le=16384)] = 10
    maximum_seconds: Annotated[int, Field(ge=60, le=432_000)]
    data: Annotated[str, Field(min_length=1)]
    hyperparameters: Annotated[dict[str, str], Field(max_length=100)] = Field(default_factory=dict)

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _are_strings_to_sagemaker(cls, given: object) -> object:
        """Take numbers as YAML has them; SageMaker hands every value to `train` as a string."""
        if not isinstance(given, dict):
            return given
        return {key: str(value) if isinstance(value, int | float) else value for key, value in given.items()}
