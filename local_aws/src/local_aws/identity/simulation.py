"""SimulatePrincipalPolicy: evaluate the policies of a role or user.

IAM refuses nothing here; the answer is that of the policies alone. The credentials of this AWS belong to no
user in IAM and may do everything.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.iam import urls
from moto.iam.models import ManagedPolicy, iam_backends
from moto.iam.responses import IamResponse

from local_aws.errors import AwsError, not_imitated
from local_aws.identity.trust import Context, holds, like
from local_aws.settings import ACCOUNT_ID

EVERYBODY = f"arn:aws:iam::{ACCOUNT_ID}:user/moto"
STATEMENT_FIELDS = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})


def install() -> None:
    """Install it in moto's IAM, before the first request."""

    class SimulatingResponse(IamResponse):  # type: ignore[misc]  # moto is untyped here
        def simulate_principal_policy(self) -> ActionResult:
            for beyond in ("PolicyInputList", "PermissionsBoundaryPolicyInputList", "ResourcePolicy"):
                if self._get_param(beyond):
                    raise not_imitated(f"{beyond} of SimulatePrincipalPolicy")
            policies = _policies_of(self._get_param("PolicySourceArn"))
            context = {
                entry["ContextKeyName"].lower(): entry["ContextKeyValues"]
                for entry in self._get_param("ContextEntries", [])
            }
            results = [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": decide(policies, action, resource, context),
                }
                for action in self._get_param("ActionNames", [])
                for resource in self._get_param("ResourceArns", ["*"])
            ]
            return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    urls.url_paths["{0}/$"] = SimulatingResponse.dispatch


def decide(policies: Sequence[Mapping[str, Any]], action: str, resource: str, context: Context) -> str:
    """Return the decision of these policies in AWS's word; a Deny overrides every Allow.

    Raises AwsError for an element or condition that is not imitated.
    """
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _list(policy["Statement"])
        if _applies(statement, action, resource, context)
    }
    if "Deny" in effects:
        return "explicitDeny"
    return "allowed" if effects else "implicitDeny"


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    beyond = sorted(statement.keys() - STATEMENT_FIELDS)
    if beyond:
        raise not_imitated(f"{beyond[0]} in a simulated policy")
    return (
        any(like(action.lower(), wanted.lower()) for wanted in _list(statement["Action"]))
        and any(like(resource, wanted) for wanted in _list(statement["Resource"]))
        and all(
            holds(operator, key, _list(wanted), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _policies_of(arn: str) -> list[dict[str, Any]]:
    """Find the policies of a role or user: its own, and those attached. Raises AwsError."""
    if arn == EVERYBODY:
        return [{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}]
    backend = iam_backends[ACCOUNT_ID]["aws"]
    for role in backend.get_roles():
        if role.arn == arn:
            return _documents(role.policies.values(), role.managed_policies.values())
    for user in backend.users.values():
        if user.arn == arn:
            return _documents(user.policies.values(), user.managed_policies.values())
    raise AwsError("NoSuchEntity", f"The entity {arn} cannot be found.", 404)


def _documents(own: Iterable[str], attached: Iterable[ManagedPolicy]) -> list[dict[str, Any]]:
    documents = [
        *own,
        *(version.document for policy in attached for version in policy.versions if version.is_default),
    ]
    return [json.loads(document) for document in documents]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
