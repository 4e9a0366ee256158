"""The rights of execution roles: what SageMaker may do once it has assumed one."""

import json

from local_aws.authorisation.callers import role_caller
from local_aws.authorisation.calls import Call
from local_aws.authorisation.condition_keys import keys_of
from local_aws.authorisation.decision import refusal
from local_aws.authorisation.facts import role_of
from local_aws.authorisation.operations import question
from local_aws.authorisation.policies import Principal, Question, effects
from local_aws.authorisation.resource_policies import ASSUME, owner_of, policy_of
from local_aws.errors import invalid
from local_aws.places import account_id, account_in

SAGEMAKER = "sagemaker.amazonaws.com"
SESSION = "SageMaker"


class ExecutionRoles:
    """The answers to `protocols.RoleRights` by IAM's policies."""

    def require_assumable(self, role: str | None) -> None:
        """Return when a role exists and trusts SageMaker. Raises AwsError (bentoml/BentoML#892)."""
        if role is None or not _trusts_sagemaker(role):
            raise invalid(
                f"Could not assume role {role}. Please ensure that the role exists and allows principal "
                f"'{SAGEMAKER}' to assume the role."
            )

    def may(self, role: str | None, action: str, resource: str) -> bool:
        """Check whether a role may do something. Raises AwsError for what cannot be evaluated."""
        found = role_of(role) if role else None
        if found is None or role is None or not _trusts_sagemaker(role):
            return False
        caller = role_caller(found, SESSION)
        asked = question(action, resource, {**caller.keys, **keys_of(Call("", ""))})
        return refusal(caller, asked, policy_of(asked), owner_of(asked)) is None


def _trusts_sagemaker(arn: str) -> bool:
    role = role_of(arn)
    if (
        role is None or account_in(arn) != account_id()
    ):  # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
        return False
    keys = {"aws:sourceaccount": [account_id()], "aws:principalservicename": [SAGEMAKER]}
    service = Principal(frozenset({SAGEMAKER}), kind="Service")
    trust = json.loads(role.assume_role_policy_document)
    return effects([trust], Question(ASSUME, arn, keys), service) == {"Allow"}
