"""The account, and its long-lived resources."""

from typing import Annotated

from pydantic import Field, field_validator

from pipeline.config.field_types import AwsName
from pipeline.model import Model

MOST_TAGS = 50


class AwsPlace(Model):
    """The account, and the names of its long-lived resources (`bootstrap` makes them).

    `tags` are put on every model, endpoint config and endpoint.
    """

    account_id: Annotated[str, Field(pattern=r"^\d{12}$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    execution_role: Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,64}$")]
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    repository: Annotated[str, Field(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")]
    model_package_group: Annotated[AwsName, Field(max_length=63)]
    tags: Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=MOST_TAGS)] = Field(
        default_factory=dict
    )

    @field_validator("tags")
    @classmethod
    def _keys_are_the_users_own(cls, tags: dict[str, str]) -> dict[str, str]:
        for key in tags:
            if not 1 <= len(key) <= 128 or key.lower().startswith("aws:"):
                raise ValueError(f"'{key}': a tag's key has 1 to 128 characters and does not begin with aws:")
        return tags

    @property
    def execution_role_arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:role/{self.execution_role}"
