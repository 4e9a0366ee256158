"""The kind of instance that this machine can run, with the reason in one line."""

import shutil
from dataclasses import dataclass
from typing import Literal

import docker.errors

from local_aws.instances.engine import Engine, EngineError
from local_aws.settings import Settings

REGISTRY_PROGRAM = "docker-registry"  # Debian's name for it
REGISTRY_IMAGES = ("registry:2", "registry:3", "registry:latest")

Kind = Literal["docker", "process"]


class UnavailableError(Exception):
    """The requested kind of instance cannot run here."""


@dataclass(frozen=True)
class Availability:
    """The kind of instance that will run, and the reason."""

    kind: Kind
    reason: str


def availability(settings: Settings) -> Availability:
    """Inspect this machine and choose. Blocks; raises UnavailableError if `docker` is demanded but missing."""
    if settings.instances == "process":
        return decide(settings.instances, None, None)
    try:
        engine = Engine()
    except EngineError as error:
        return decide(settings.instances, str(error), None)
    try:
        registry = registry_source(engine)
    finally:
        engine.close()
    return decide(settings.instances, None, None if registry else "there is no registry")


def decide(wanted: str, engine_problem: str | None, registry_problem: str | None) -> Availability:
    """Choose the kind of instance from what the machine has. Raises UnavailableError."""
    if wanted == "process":
        return Availability("process", "Instances are processes, as LOCAL_AWS_INSTANCES=process says.")
    problem = engine_problem or registry_problem
    if problem is None:
        return Availability("docker", "Instances are containers: a Docker engine and a registry are here.")
    fix = (
        "start a Docker engine"
        if engine_problem
        else f"install {REGISTRY_PROGRAM}, or `docker pull {REGISTRY_IMAGES[0]}`"
    )
    if wanted == "docker":
        raise UnavailableError(
            f"LOCAL_AWS_INSTANCES=docker, but {problem}.\n  fix: {fix}, or set LOCAL_AWS_INSTANCES=process."
        )
    return Availability("process", f"Instances are processes, because {problem}; for containers, {fix}.")


def registry_source(engine: Engine) -> str | None:
    """Return the registry program's path, else the registry image of this engine, else None."""
    program = shutil.which(REGISTRY_PROGRAM)
    if program:
        return program
    for image in REGISTRY_IMAGES:
        try:
            engine.client.images.get(image)
        except docker.errors.ImageNotFound:
            continue
        return image
    return None
