"""SimulatePrincipalPolicy: evaluate the policies of a role or user.

The answer is that of the identity policies alone. The exported credentials belong to no user in IAM and may do
everything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.iam import urls
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse

from local_aws.authorisation.callers import EVERYTHING, administrator_arn, documents
from local_aws.authorisation.conditions import Context
from local_aws.authorisation.policies import Question, effects
from local_aws.errors import AwsError, not_imitated
from local_aws.identity.trust import refuse_global_key
from local_aws.places import account_id


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
    found = effects(policies, Question(action, resource, context, refuse_global_key))
    if "Deny" in found:
        return "explicitDeny"
    return "allowed" if found else "implicitDeny"


def _policies_of(arn: str) -> Sequence[Mapping[str, Any]]:
    """Find the policies of a role or user: its own, and those attached. Raises AwsError."""
    if arn == administrator_arn(account_id()):
        return [EVERYTHING]
    backend = iam_backends[account_id()]["aws"]
    for role in backend.get_roles():
        if role.arn == arn:
            return documents(role.policies.values(), role.managed_policies.values())
    for user in backend.users.values():
        if user.arn == arn:
            return documents(user.policies.values(), user.managed_policies.values())
    raise AwsError("NoSuchEntity", f"The entity {arn} cannot be found.", 404)
