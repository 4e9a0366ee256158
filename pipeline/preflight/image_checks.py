"""The checks of a release's image: its manifest, its processor, and the driver of its GPUs."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config import Environment
from pipeline.config.instance_types import (
    ami_for_cuda,
    architecture_of,
    driver_for_cuda,
    driver_of,
    image_variant_of,
)
from pipeline.preflight.checks import Problem
from pipeline.publishing.pushed_images import DOCKER_MANIFEST, PUSH_AGAIN
from pipeline.release import Image


def check_image(env: Environment, image: Image, found: Mapping[str, Any] | None) -> Iterator[Problem]:
    """Check that the image is in ECR as one image of one platform. `found`: as DescribeImages describes it.

    A release without an engine has no image: instances that are processes need none.
    """
    if image.is_source_hash:
        return
    if found is None:
        yield Problem(
            what=f"Image {image.digest[:19]}… is not in ECR repository {env.aws.repository}.",
            fix=f"Run `python -m pipeline publish --env {env.name}`; does a lifecycle rule delete images?",
        )
        return
    kind = found.get("imageManifestMediaType")
    if kind != DOCKER_MANIFEST:
        yield Problem(
            what=f"Image {image.digest[:19]}… is a {kind}, which SageMaker does not take.", fix=PUSH_AGAIN
        )


def check_processor(env: Environment, image: Image) -> Iterator[Problem]:
    """Check that the image was built for the processor of the instance type; older releases do not say."""
    kind = env.endpoint.instance_type
    wanted = architecture_of(kind)
    if image.architecture not in (None, wanted):
        yield Problem(
            what=f"The image is built for {image.architecture}; {kind} runs {wanted}: its container would end at "
            "once with `exec format error`.",
            fix=f"Run `python -m pipeline publish --env {env.name}`, which builds for this type, or choose another "
            "endpoint.instance_type.",
        )


def check_gpu(env: Environment, image: Image) -> Iterator[Problem]:
    """Check that image and instance type agree about GPUs, and that the hosts' driver runs the image's CUDA."""
    kind, ami = env.endpoint.instance_type, env.endpoint.inference_ami
    has_gpu = image_variant_of(kind) == "cuda"
    if image.cuda is None:
        if has_gpu and image.architecture is not None:
            yield Problem(
                what=f"{kind} has GPUs, and the image computes on the CPU alone.",
                fix=f"Run `python -m pipeline publish --env {env.name}`, which builds for this type.",
            )
        return
    if not has_gpu:
        yield Problem(
            what=f"The image is built for CUDA {image.cuda}, and {kind} has no GPU.",
            fix=f"Run `python -m pipeline publish --env {env.name}`, which builds for this type.",
        )
        return
    needed, driver = driver_for_cuda(image.cuda), driver_of(kind, ami)
    if driver is None or needed is None or driver < needed:
        has = "no driver that AWS documents" if driver is None else f"driver {driver}"
        yield Problem(
            what=f"CUDA {image.cuda} of the image needs NVIDIA's driver {needed or 'of its release notes'} or newer; "
            f"{kind} with {ami or 'the default AMI'} has {has}.",
            fix=f"Set endpoint.inference_ami to {ami_for_cuda(image.cuda) or 'an AMI with that driver'}.",
        )
