"""Trust policies evaluated for AssumeRoleWithWebIdentity (pure)."""

from collections.abc import Mapping
from typing import Any

from local_aws.authorisation.conditions import Context
from local_aws.authorisation.policies import Principal, Question, effects
from local_aws.errors import not_imitated

ACTION = "sts:AssumeRoleWithWebIdentity"


def allows(policy: Mapping[str, Any], provider_arn: str, context: Context) -> bool:
    """Check whether a trust policy allows `provider_arn`, given the token's condition keys.

    Raises AwsError for an operator, an element or a condition key that is not imitated.
    """
    question = Question(ACTION, "", context, refuse_global_key)
    return effects([policy], question, Principal(frozenset({provider_arn}), kind="Federated")) == {"Allow"}


def refuse_global_key(key: str) -> None:
    """Take a key of a token as absent. Raises AwsError for one of AWS's own, which is not imitated here."""
    if key.lower().startswith(("aws:", "sts:")):
        raise not_imitated(f"The condition key {key}")
