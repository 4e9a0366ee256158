"""A GitHub whose REST API has one repository's settings: real HTTP on this machine, answers from a dictionary."""

import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

TOKEN = "github-token-of-a-test"


def environment(name: str, *, reviewers: int, branch_policy: bool | None = True) -> dict[str, Any]:
    """Return an environment as GitHub describes it. `branch_policy`: custom (True), protected (False), none (None)."""
    rules: list[dict[str, Any]] = []
    policy = None
    if branch_policy is not None:
        rules.append({"id": 1, "type": "branch_policy"})
        policy = {"protected_branches": not branch_policy, "custom_branch_policies": branch_policy}
    if reviewers:
        people = [{"type": "User", "reviewer": {"id": number}} for number in range(reviewers)]
        rules.append({"id": 2, "type": "required_reviewers", "reviewers": people})
    return {"name": name, "protection_rules": rules, "deployment_branch_policy": policy}


def branches(*names: str, tags: Iterable[str] = ()) -> dict[str, Any]:
    """Return deployment branch policies as GitHub lists them."""
    listed = [{"name": name, "type": "branch"} for name in names] + [
        {"name": name, "type": "tag"} for name in tags
    ]
    return {"total_count": len(listed), "branch_policies": listed}


def variables(**values: str) -> dict[str, Any]:
    """Return variables as GitHub lists them."""
    listed = [{"name": name, "value": value} for name, value in values.items()]
    return {"total_count": len(listed), "variables": listed}


def ready(account: str, region: str, group: str) -> dict[str, Any]:
    """Return answers by path of a public repository in which every rule holds."""
    answers: dict[str, Any] = {
        "": {"full_name": "ORG/REPO", "private": False},
        "/actions/variables": variables(),
        "/rules/branches/main": [
            {"type": "deletion"},
            {
                "type": "required_status_checks",
                "parameters": {"required_status_checks": [{"context": "all green"}]},
            },
        ],
        "/actions/permissions/workflow": {"default_workflow_permissions": "read"},
        "/immutable-releases": {"enabled": True, "enforced_by_owner": False},
    }
    for name, reviewers in (("staging", 0), ("production", 0), ("production-approval", 1)):
        answers[f"/environments/{name}"] = environment(name, reviewers=reviewers)
        answers[f"/environments/{name}/deployment-branch-policies"] = branches("main")
    for name in ("staging", "production"):
        answers[f"/environments/{name}/variables"] = variables(
            AWS_ROLE_ARN=f"arn:aws:iam::{account}:role/{group}-deploy-{name}",
            AWS_REGION=region,
            AWS_ACCOUNT_ID=account,
        )
    return answers


class GithubServer:
    """GitHub's API at `url` while the block lasts; `answers` may change, and an int there is a status without a body."""

    def __init__(self, answers: dict[str, Any], repository: str = "ORG/REPO") -> None:
        self.answers, self.asked = answers, list[str]()
        prefix = f"/repos/{repository}"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler: BaseHTTPRequestHandler) -> None:  # noqa: N805
                path = urlsplit(handler.path).path
                self.asked.append(path)
                answer: Any = 404
                if path.startswith(prefix):
                    answer = self.answers.get(path.removeprefix(prefix), 404)
                if handler.headers["Authorization"] != f"Bearer {TOKEN}":
                    answer = 401
                status, body = (answer, {}) if isinstance(answer, int) else (200, answer)
                handler.send_response(status)
                handler.send_header("Content-Type", "application/json")
                handler.end_headers()
                handler.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "GithubServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment variables that lead a client here."""
        return {"GITHUB_API_URL": self.url, "GH_TOKEN": TOKEN}
