"""GitHub's REST API of one repository, read only."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigError, GithubUnreachable

GITHUB = "https://api.github.com"
VERSION = "2022-11-28"
ANSWER_SECONDS = 30
NO_SUCH_THING = 404


@dataclass(frozen=True)
class GithubApi:
    """One repository, ORG/REPO, as `token` may see it."""

    repository: str
    token: str
    url: str = GITHUB

    @classmethod
    def from_environment(cls, repository: str, environ: Mapping[str, str]) -> "GithubApi":
        """Take the token of GH_TOKEN and the address of GITHUB_API_URL. Raises ConfigError without a token."""
        if not (token := environ.get("GH_TOKEN")):
            raise ConfigError(
                f"GH_TOKEN is not set: the settings of {repository} cannot be read.",
                fix='On your machine: export GH_TOKEN="$(gh auth token)". In a workflow: give the step '
                "GH_TOKEN: ${{ github.token }}, and the job `permissions: actions: read`.",
            )
        return cls(repository, token, environ.get("GITHUB_API_URL") or GITHUB)

    def get(self, path: str = "") -> Any | None:
        """Return the document at a path below the repository; None where GitHub has no such thing.

        GitHub also says so of what the token may not see. Raises GithubUnreachable for any other failure.
        """
        url = f"{self.url}/repos/{self.repository}{path}"
        if not url.startswith(("https://", "http://")):
            raise ConfigError(f"{url} is no web address.", fix="Correct GITHUB_API_URL.")
        request = urllib.request.Request(  # noqa: S310 - checked above
            url,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "X-GitHub-Api-Version": VERSION,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - checked above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == NO_SUCH_THING:
                return None
            raise GithubUnreachable(
                f"GitHub answered {error.code} {error.reason} for {url}.",
                fix="401: sign in again (gh auth login). 403: take the token of an administrator of the "
                "repository, or wait if a rate limit was reached.",
            ) from error
        except (OSError, ValueError) as error:
            raise GithubUnreachable(
                f"GitHub did not answer for {url}: {error}", fix="Check the network and GITHUB_API_URL."
            ) from error
