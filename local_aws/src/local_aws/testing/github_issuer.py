"""An OIDC issuer like GitHub's on 127.0.0.1: its documents, its tokens, and the protocol that jobs ask them by.

As a program, `python -m local_aws.testing.github_issuer REPOSITORY FOLDER ENVIRONMENT…`, it serves until its standard
input ends: it writes FOLDER/ENVIRONMENT.jwt for each environment, for boto3's AWS_WEB_IDENTITY_TOKEN_FILE, and prints
the setting by which an AWS of this machine knows it.
"""

import argparse
import json
import secrets
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

GITHUB = "https://token.actions.githubusercontent.com"
TOKEN_SECONDS = 300
FILE_SECONDS = 6 * 3600  # GitHub renews the tokens of a job; those in files are for all of its length


@dataclass(frozen=True)
class Job:
    """One job of a workflow, as far as its token tells; `ids` (owner, repository) make the subject immutable."""

    repository: str = "ORG/REPO"
    environment: str | None = None
    ref: str = "refs/heads/main"
    event: str = "push"
    ids: tuple[int, int] | None = None

    @property
    def subject(self) -> str:
        """The `sub` claim: a job with an environment has that form and never the `ref` form."""
        owner, _, name = self.repository.partition("/")
        if self.ids:
            owner, name = f"{owner}@{self.ids[0]}", f"{name}@{self.ids[1]}"
        what = f"environment:{self.environment}" if self.environment else f"ref:{self.ref}"
        if self.event == "pull_request" and not self.environment:
            what = "pull_request"
        return f"repo:{owner}/{name}:{what}"


class GithubIssuer:
    """Serves while the `with` block lasts. Tokens name `issuer`; the documents are at `url`."""

    def __init__(self, issuer: str = GITHUB) -> None:
        self.issuer = issuer
        self._key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "alg": "RS256", "use": "sig"})
        self._jobs: dict[str, Job] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def setting(self) -> str:
        """The word for LOCAL_AWS_OIDC_ISSUERS."""
        return f"{self.issuer}={self.url}"

    def mint(self, job: Job, audience: str = "sts.amazonaws.com", **claims: Any) -> str:
        """Sign a token of a job; `claims` replace those it would have."""
        now = int(time.time())
        payload = {
            "iss": self.issuer,
            "sub": job.subject,
            "aud": audience,
            "jti": secrets.token_hex(16),
            "iat": now,
            "nbf": now - 5,
            "exp": now + TOKEN_SECONDS,
            "repository": job.repository,
            "repository_owner": job.repository.partition("/")[0],
            "ref": job.ref,
            "event_name": job.event,
            **({"environment": job.environment} if job.environment else {}),
        }
        return jwt.encode({"alg": "RS256", "kid": self._key.kid}, payload | claims, self._key)

    def job_environ(self, job: Job) -> dict[str, str]:
        """Variables with which a job that has `id-token: write` asks for its tokens."""
        bearer = secrets.token_hex(16)
        self._jobs[bearer] = job
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": bearer,
        }

    def _answer(self, path: str, authorization: str) -> dict[str, Any] | None:
        """Answer one GET; None when there is nothing at `path`, or not for this bearer."""
        parts = urlsplit(path)
        if parts.path == "/.well-known/openid-configuration":
            return {"issuer": self.issuer, "jwks_uri": f"{self.url}/.well-known/jwks"}
        if parts.path == "/.well-known/jwks":
            return {"keys": [self._key.as_dict(private=False)]}
        job = self._jobs.get(authorization.partition(" ")[2])
        if parts.path != "/token" or job is None:
            return None
        owner = f"https://github.com/{job.repository.partition('/')[0]}"
        audience = parse_qs(parts.query).get("audience", [owner])[0]
        return {"value": self.mint(job, audience), "count": 1}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = answer(self.path, self.headers.get("Authorization", ""))
                body = json.dumps(found).encode()
                self.send_response(401 if found is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: tests print what matters."""

        return Handler


def main() -> None:
    """Serve the tokens of a repository's environments until standard input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("repository", metavar="ORG/REPO")
    parser.add_argument("folder", type=Path)
    parser.add_argument("environments", nargs="+", metavar="ENVIRONMENT")
    given = parser.parse_args()
    with GithubIssuer() as issuer:
        for name in given.environments:
            token = issuer.mint(Job(given.repository, name), exp=int(time.time()) + FILE_SECONDS)
            file = given.folder / f"{name}.jwt"
            file.touch(0o600)
            file.write_text(token)
        print(f"export LOCAL_AWS_OIDC_ISSUERS={issuer.setting}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
