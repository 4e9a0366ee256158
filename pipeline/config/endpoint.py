"""The endpoint: its instances, their network, and the capture of their requests."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.field_types import (
    CAPACITY_SUFFIX,
    LONGEST_ENDPOINT,
    LONGEST_NAME,
    AwsName,
    KmsKey,
    PositiveInt,
)
from pipeline.config.instance_types import InferenceAmi, image_variant_of
from pipeline.model import Model

# Families with local storage, which the hardware encrypts: CreateEndpointConfig refuses a key.
_OWN_STORAGE = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|p5e?n?|trn1n?|inf2)\.")


class Vpc(Model):
    """The subnets and security groups of the instances, in a VPC of your own."""

    subnets: Annotated[tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$")], ...], Field(min_length=1)]
    security_groups: Annotated[
        tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$")], ...], Field(min_length=1, max_length=5)
    ]


class DataCapture(Model):
    """The capture of requests and answers, to `s3://<bucket>/<prefix>/<endpoint>/<variant>/`."""

    percent: Annotated[int, Field(ge=1, le=100)]
    prefix: Annotated[str, Field(pattern=r"^captured(/[\w.-]+)*$")] = "captured"
    content: Annotated[tuple[Literal["input", "output"], ...], Field(min_length=1)] = ("input", "output")
    kms_key: KmsKey | None = None


class Endpoint(Model):
    """The endpoint and its instances. `kms_key` encrypts the storage of the instances.

    `inference_ami` chooses the driver of a type with GPUs (InferenceAmiVersion); null: AWS's choice for the type.
    """

    name: AwsName
    variant: Annotated[AwsName, Field(max_length=63)]
    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
    inference_ami: InferenceAmi | None = None
    initial_instances: PositiveInt
    routing: Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM"]
    startup_timeout_seconds: Annotated[int, Field(ge=60, le=3600)]
    environment: dict[str, str]
    vpc: Vpc | None = None
    network_isolation: bool = False
    kms_key: KmsKey | None = None
    data_capture: DataCapture | None = None

    @field_validator("name")
    @classmethod
    def _names_derived_from_it_fit(cls, name: str) -> str:
        if len(name) > LONGEST_ENDPOINT:
            raise ValueError(
                f"'{name}' has {len(name)} characters; at most {LONGEST_ENDPOINT} leave room for "
                f"<name>{CAPACITY_SUFFIX}-<release id>-<hash> within SageMaker's {LONGEST_NAME}"
            )
        return name

    @model_validator(mode="after")
    def _driver_has_a_gpu(self) -> Self:
        if self.inference_ami is not None and image_variant_of(self.instance_type) == "cpu":
            raise ValueError(f"inference_ami: {self.instance_type} has no GPU that needs a driver")
        return self

    @field_validator("environment")
    @classmethod
    def _release_id_is_ours(cls, environment: dict[str, str]) -> dict[str, str]:
        if "RELEASE_ID" in environment:
            raise ValueError("RELEASE_ID is set by the pipeline; remove it")
        return environment

    @model_validator(mode="after")
    def _storage_can_be_encrypted(self) -> Self:
        if self.kms_key is not None and _OWN_STORAGE.match(self.instance_type):
            raise ValueError(
                f"kms_key: {self.instance_type} has storage of its own, which the hardware encrypts; "
                "SageMaker refuses a key for it"
            )
        return self
