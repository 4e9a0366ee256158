"""The contract server, built and pushed to a repository of its own in ECR."""

import base64
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from local_aws.testing import CONTRACT_SERVER

FOLDER = Path(__file__).parent
CONTEXT = Path(CONTRACT_SERVER[-1]).parent
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else "docker"  # Debian's own has BuildKit


def push_image(ecr: Any, repository: str) -> str:
    """Make the repository, build, push; return the image's URI. Raises CalledProcessError, said by docker itself."""
    made = ecr.create_repository(repositoryName=repository)["repository"]
    uri = f"{made['repositoryUri']}:contract"
    login = ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(login["authorizationToken"]).decode().partition(":")
    registry = login["proxyEndpoint"].partition("://")[2]
    with tempfile.TemporaryDirectory() as config:  # the user's own logins stay as they are
        environ = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": config}
        build = ("build", "--quiet", "--file", str(FOLDER / "Dockerfile"), "--tag", uri, str(CONTEXT))
        for words, given in (
            (("login", "--username", user, "--password-stdin", registry), password),
            (build, None),
            (("push", "--quiet", uri), None),
            (("rmi", uri), None),
        ):
            subprocess.run([DOCKER, *words], env=environ, input=given, text=True, check=True)
    return uri
