"""A repository's settings that keep a release safe, each read once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.errors import GithubUnreachable
from pipeline.github.api import GithubApi

ALL = "?per_page=100"


@dataclass(frozen=True)
class GithubEnvironment:
    """One environment. `branches`: the only ones that may deploy to it, as GitHub names them; None: every one."""

    name: str
    reviewers: int
    branches: tuple[str, ...] | None


@dataclass(frozen=True)
class GithubSettings:
    """A repository's settings by its API. Reading any may raise GithubUnreachable."""

    api: GithubApi

    @cached_property
    def is_private(self) -> bool:
        """Return whether only some may see the repository; such a one needs GitHub Enterprise for reviewers."""
        found = self.api.get()
        if found is None:
            raise GithubUnreachable(
                f"There is no repository {self.api.repository} that this token may see.",
                fix="Correct --github-repo, or sign in as one who may read it: gh auth login.",
            )
        return bool(found["private"])

    def environment(self, name: str) -> GithubEnvironment | None:
        """Return an environment's protection; None when there is no such environment."""
        found = self.api.get(f"/environments/{name}")
        if found is None:
            return None
        rules = found.get("protection_rules") or []
        named = [rule.get("reviewers") or [] for rule in rules if rule["type"] == "required_reviewers"]
        policy = found.get("deployment_branch_policy")
        return GithubEnvironment(
            name=name,
            reviewers=sum(len(each) for each in named),
            branches=self._branches(name, policy) if policy else None,
        )

    def _branches(self, name: str, policy: dict[str, Any]) -> tuple[str, ...]:
        """Return the names and patterns of who may deploy; a tag with the word before it."""
        if not policy["custom_branch_policies"]:
            return ("every protected branch",)
        found = self.api.get(f"/environments/{name}/deployment-branch-policies{ALL}") or {}
        return tuple(
            f"tag {each['name']}" if each.get("type") == "tag" else str(each["name"])
            for each in found.get("branch_policies", [])
        )

    def variables(self, environment: str | None = None) -> dict[str, str]:
        """Return the variables of an environment, or of the repository itself."""
        owner = f"/environments/{environment}" if environment else "/actions"
        found = self.api.get(f"{owner}/variables{ALL}") or {}
        return {each["name"]: str(each["value"]) for each in found.get("variables", [])}

    def required_checks(self, branch: str) -> frozenset[str]:
        """Return the checks that a change of a branch must have passed, by rulesets or branch protection."""
        rules = self.api.get(f"/rules/branches/{branch}{ALL}") or []
        by_rules = [
            check["context"]
            for rule in rules
            if rule["type"] == "required_status_checks"
            for check in rule["parameters"]["required_status_checks"]
        ]
        protection = {} if by_rules else self.api.get(f"/branches/{branch}/protection") or {}
        by_protection = (protection.get("required_status_checks") or {}).get("contexts") or []
        return frozenset([*by_rules, *by_protection])

    @property
    def workflow_permissions(self) -> str:
        """Return what a job's token may do that names no permissions: `read` or `write`."""
        found = self.api.get("/actions/permissions/workflow") or {}
        return str(found.get("default_workflow_permissions", "not readable with this token"))

    @property
    def has_immutable_releases(self) -> bool:
        """Return whether a published GitHub release and its tag can no longer be changed."""
        found = self.api.get("/immutable-releases")  # 404 where it is not enabled
        return bool(found and found["enabled"])
