"""The Docker engine of this machine, through the Docker SDK; calls block, `Engine.run` puts them in threads."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import docker
import docker.errors
import requests

from local_aws.instances.login import PASSWORD, USER

log = logging.getLogger(__name__)

LABEL = "sagemaker-pytorch-release.local-aws"
"""Label of every container started here; its value is the id of its record."""

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_THREADS = 16
_CONFLICT = 409
_REMOVAL_SECONDS = 30
_P = ParamSpec("_P")
_T = TypeVar("_T")


class EngineError(Exception):
    """The engine does not answer, or refuses a call."""


class Engine:
    """A client of the engine with its own threads. Raises EngineError if no engine answers."""

    def __init__(self) -> None:
        _check_socket()
        try:
            self.client = docker.from_env(timeout=60, max_pool_size=_THREADS)
            self.client.ping()
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise EngineError(f"no Docker engine answers ({_sentence(error)})") from error
        self._pulled: set[str] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine")

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a blocking function in one of the engine's own threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def fetch_image(self, image: str) -> str:
        """Make sure that the engine has an image; return its id. Raises EngineError with the engine's reason.

        An image of this AWS's ECR must still be there even if the engine has a copy: a deleted image cannot
        start. (A pull skips digests that the engine has.) From other registries a local copy of a digest is
        used as it is. A name without a registry is an image that this engine has itself.
        """
        if _is_in_ecr(image):
            return self._pull_from_ecr(image)
        of_a_registry = _names_a_registry(image)
        if "@" in image or not of_a_registry:
            try:
                return str(self.client.images.get(image).id)
            except docker.errors.ImageNotFound as error:
                if not of_a_registry:
                    raise EngineError(f"the engine has no image {image!r}: push it to ECR") from error
        return self._pull(image)

    def architecture(self, image_id: str) -> str:
        """Return the architecture that an image was built for: `amd64`, `arm64`."""
        return str(self.client.images.get(image_id).attrs["Architecture"])

    def remove_labelled(self, record_id: str) -> None:
        """Remove the containers of a record, running or not, with their volumes."""
        for container in self.client.containers.list(all=True, filters={"label": f"{LABEL}={record_id}"}):
            try:
                container.remove(force=True, v=True)
            except docker.errors.NotFound:
                continue
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:  # that is: somebody is removing it already
                    raise
                container.wait(condition="removed", timeout=_REMOVAL_SECONDS)

    def close(self) -> None:
        """Wait for running calls, drop the image names of this run, close the client. Repeatable."""
        self._threads.shutdown()
        while self._pulled:
            self._drop_name(self._pulled.pop())
        self.client.close()

    def _pull_from_ecr(self, image: str) -> str:
        login = {"username": USER, "password": PASSWORD}
        try:
            self.client.images.get_registry_data(image, auth_config=login)
        except docker.errors.APIError as error:
            raise EngineError(f"{image} cannot be pulled: {error.explanation}") from error
        self._pulled.add(image)
        return self._pull(image, login)

    def _pull(self, image: str, login: dict[str, str] | None = None) -> str:
        separator = "@" if "@" in image else ":"
        repository, _, reference = image.rpartition(separator)
        try:
            answers: Any = self.client.api.pull(
                repository, reference, stream=True, decode=True, auth_config=login
            )
            problems = [answer["error"] for answer in answers if "error" in answer]
            if problems:
                raise EngineError(f"{image} cannot be pulled: {problems[0]}")
            return str(self.client.images.get(image).id)
        except docker.errors.APIError as error:
            raise EngineError(f"{image} cannot be pulled: {error.explanation}") from error

    def _drop_name(self, image: str) -> None:
        """Untag an image pulled from this run's port, unless it is the last name: the layers are kept."""
        try:
            known = self.client.images.get(image).attrs
            if other_names(image, known["RepoTags"], known["RepoDigests"]):
                self.client.images.remove(image)
        except docker.errors.APIError as error:
            log.warning("the image name %s stays in the engine: %s", image, error.explanation)


def other_names(image: str, tags: list[str] | None, digests: list[str] | None) -> list[str]:
    """List the image's names other than `image`: its tags, and digests of other repositories."""
    repository = image.partition("@")[0]
    elsewhere = [name for name in digests or [] if name.partition("@")[0] != repository]
    return [name for name in tags or [] if name != image] + elsewhere


def _check_socket() -> None:
    """Check the engine's socket first: the SDK's client leaks its own when no engine answers."""
    host = os.environ.get("DOCKER_HOST") or _DEFAULT_HOST
    if not host.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as knock:
        try:
            knock.connect(host.removeprefix("unix://"))
        except OSError as error:
            raise EngineError(f"no Docker engine answers at {host} ({error.strerror or error})") from error


def _is_in_ecr(image: str) -> bool:
    return image.startswith("127.0.0.1:")


def _names_a_registry(image: str) -> bool:
    host, slash, _ = image.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def _sentence(error: BaseException) -> str:
    return str(error).splitlines()[0].strip() if str(error) else type(error).__name__
