"""Processor, accelerator and driver of an instance type, by its name."""

from pathlib import Path
from typing import get_args

import pytest
from botocore.session import get_session

from local_aws.instances import instance_type
from pipeline.config.instance_types import (
    InferenceAmi,
    ami_for_cuda,
    architecture_of,
    driver_for_cuda,
    driver_of,
    image_variant_of,
)
from pipeline.publishing.image_target import CUDA

ROOT = Path(__file__).parents[2]
SAGEMAKER = get_session().get_service_model("sagemaker")


@pytest.mark.parametrize(
    ("kind", "architecture", "variant"),
    [
        ("ml.m5.large", "amd64", "cpu"),
        ("ml.c6in.xlarge", "amd64", "cpu"),
        ("ml.c7g.large", "arm64", "cpu"),
        ("ml.r6gd.2xlarge", "arm64", "cpu"),
        ("ml.g4dn.xlarge", "amd64", "cuda"),
        ("ml.g6e.xlarge", "amd64", "cuda"),
        ("ml.p4de.24xlarge", "amd64", "cuda"),
        ("ml.inf2.xlarge", "amd64", "cpu"),
    ],
)
def test_a_type_says_what_its_image_is_built_for(kind: str, architecture: str, variant: str) -> None:
    assert (architecture_of(kind), image_variant_of(kind)) == (architecture, variant)


def test_the_local_aws_has_the_same_architecture_of_every_type() -> None:
    for kind in ("ml.m8g.large", "ml.c6gn.large", "ml.r7gd.xlarge", "ml.m7i.large", "ml.t2.medium"):
        assert instance_type(kind).architecture == architecture_of(kind)


def test_every_choice_of_a_driver_is_one_of_the_api() -> None:
    known = set(SAGEMAKER.shape_for("ProductionVariantInferenceAmiVersion").enum)

    assert set(get_args(InferenceAmi)) == {name for name in known if "gpu" in name}


def test_the_choice_decides_the_driver_and_the_family_otherwise() -> None:
    assert driver_of("ml.g5.xlarge", None) == 470
    assert driver_of("ml.g5.xlarge", "al2-ami-sagemaker-inference-gpu-3-1") == 550
    assert driver_of("ml.g7e.2xlarge", None) is None
    assert driver_of("ml.m5.large", None) is None


def test_the_cuda_version_of_the_image_is_that_of_the_pinned_torch() -> None:
    """Another torch: read `torch.version.cuda` in an image of `container/build --variant cuda`, and change both."""
    pins = (ROOT / "container" / "torch-cuda.txt").read_text().splitlines()

    assert ("torch==2.13.0" in pins, CUDA) == (True, "13.0")


def test_cuda_needs_the_driver_of_its_first_minor_version() -> None:
    assert [driver_for_cuda(each) for each in ("11.8", "12.8", "13.0", "14.0")] == [450, 525, 580, None]
    assert ami_for_cuda("13.0") == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert ami_for_cuda("12.8") == "al2-ami-sagemaker-inference-gpu-2"
    assert ami_for_cuda("14.0") is None
