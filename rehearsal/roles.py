"""The deploy roles: each step runs as the role of its environment, by a token as GitHub gives one to its job."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.errors import RehearsalError
from rehearsal.machine import ROOT

REPOSITORY = "ORG/REPO"
IDS = "12/345"
SESSION = "rehearsal"
STOP_SECONDS = 10.0
ADMINISTRATORS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
BOOTSTRAP = ("--github-repo", REPOSITORY, "--github-ids", IDS)
"""The options of `bootstrap` that make the roles of the repository's jobs."""


@dataclass(frozen=True)
class Issuer:
    """A running issuer: the setting by which the local AWS knows it, and the folder of its tokens."""

    setting: str
    folder: Path

    def role_environ(self, environ: Mapping[str, str], environment: str, role: str) -> dict[str, str]:
        """Return the environment variables of a job: boto3 takes the role by the token, and has no other key."""
        kept = {name: value for name, value in environ.items() if name not in ADMINISTRATORS_KEYS}
        token = str(self.folder / f"{environment}.jwt")
        given = {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_SESSION_NAME": SESSION}
        return kept | given


@contextlib.contextmanager
def issuer(folder: Path, environments: Sequence[str]) -> Iterator[Issuer]:
    """Run GitHub's issuer of tokens on this machine. Raises RehearsalError when it does not start."""
    folder.mkdir(parents=True, exist_ok=True)
    program = [
        sys.executable,
        "-m",
        "local_aws.testing.github_issuer",
        REPOSITORY,
        str(folder),
        *environments,
    ]
    process = subprocess.Popen(
        program, cwd=ROOT, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        found = re.search(r"LOCAL_AWS_OIDC_ISSUERS=(\S+)", process.stdout.readline())
        if found is None:
            raise RehearsalError(
                "The issuer of tokens did not start.",
                fix=f"Run it by hand to see why: {' '.join(program)}",
            )
        yield Issuer(found.group(1), folder)
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()
        process.stdout.close()
        for token in folder.glob("*.jwt"):
            token.unlink()
