"""The release and the instance, named in a header of every response.

SageMaker forwards `X-Amzn-SageMaker-Custom-Attributes` to the caller, so a client can tell which
release answered it, and count the instances behind an endpoint.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

HEADER = "X-Amzn-SageMaker-Custom-Attributes"
RELEASE_VARIABLE = "RELEASE_ID"
INSTANCE_VARIABLE = "SERVE_INSTANCE_ID"  # set by `serve` for its workers, never by a person
UNRELEASED = "unreleased"

# Nothing that could end a header, or a quoted string in nginx.conf.
_SAFE = re.compile(r"[A-Za-z0-9._:/@+-]{1,200}")


class BadIdentity(ValueError):
    """A release or instance id with characters that a header cannot hold."""


@dataclass(frozen=True)
class Identity:
    """A release id, and an instance id that all workers of one `serve` share."""

    release: str
    instance: str

    @property
    def header(self) -> str:
        return f"release={self.release};instance={self.instance}"

    def beside(self, others: str | None) -> str:
        """Return the header with a program's attributes before ours: of two with one name, readers take the last."""
        return f"{others.strip(' ;')};{self.header}" if others and others.strip(" ;") else self.header


def new_instance_id() -> str:
    """Return 12 random hex digits."""
    return secrets.token_hex(6)


def from_environ(environ: Mapping[str, str]) -> Identity:
    """Read RELEASE_ID and, in a worker, the instance id that `serve` chose. Raises BadIdentity."""
    release = environ.get(RELEASE_VARIABLE) or UNRELEASED
    instance = environ.get(INSTANCE_VARIABLE) or new_instance_id()
    for variable, value in ((RELEASE_VARIABLE, release), (INSTANCE_VARIABLE, instance)):
        if not _SAFE.fullmatch(value):
            raise BadIdentity(f"{variable}: expected up to 200 letters, digits and ._:/@+-, got {value!r}")
    return Identity(release, instance)
