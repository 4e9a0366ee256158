"""The decision on one action: explicit denials first, then the Allow that each kind of policy has to give (pure).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html, and across accounts:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from local_aws.authorisation.policies import Policy, Principal, Question, effects, is_account, naming


@dataclass(frozen=True)
class Caller:
    """A user or the session of a role, with the policies that bind it."""

    arn: str
    principal: Principal
    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None
    """None: no permissions boundary is set."""
    session: Sequence[Policy] | None = None
    """None: the session was begun without a policy."""
    keys: dict[str, Sequence[str]] = field(default_factory=dict)
    """Condition keys of the caller: aws:PrincipalArn and its like."""
    is_root: bool = False
    """The owner of the exported credentials: nothing is asked of it but the trust of the roles that it assumes."""


@dataclass(frozen=True)
class ResourcePolicy:
    """The policy of a resource.

    `must_allow`: without an Allow here none counts, as for a role's trust and a key's policy.
    """

    document: Policy
    must_allow: bool = False


KINDS = {
    "identity": "identity-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
    "resource": "resource-based policy",
}


def refusal(
    caller: Caller, question: Question, resource: ResourcePolicy | None = None, owner: str = ""
) -> str | None:
    """Return AWS's sentence for a refusal; None when the action is allowed.

    `owner` is the account of the resource; of another one than the caller's, both sides have to allow. Raises AwsError for an element or condition that cannot be evaluated here.
    """
    at_resource = [resource.document] if resource else []
    found = {
        "identity": effects(caller.identity, question),
        "boundary": effects(caller.boundary or (), question),
        "session": effects(caller.session or (), question),
        "resource": effects(at_resource, question, caller.principal),
    }
    denying = next((kind for kind, given in found.items() if "Deny" in given), None)
    if denying:
        article = "an" if denying == "identity" else "a"
        return f"{_beginning(caller, question)} with an explicit deny in {article} {KINDS[denying]}"
    allowing = {kind for kind in found if "Allow" in found[kind]}
    crosses = owner not in ("", caller.principal.account)
    lacking = _lacking_across(caller, allowing) if crosses else _lacking(caller, question, resource, allowing)
    if lacking is None:
        return None
    return f"{_beginning(caller, question)} because no {KINDS[lacking]} allows the {question.action} action"


def _lacking_across(caller: Caller, allowing: set[str]) -> str | None:
    """Name the kind of policy that is lacking where the resource is in another account."""
    needed = ["identity", "resource"]
    needed += [
        kind
        for kind, given in (("boundary", caller.boundary), ("session", caller.session))
        if given is not None
    ]
    return next((kind for kind in needed if kind not in allowing), None)


def _lacking(
    caller: Caller, question: Question, resource: ResourcePolicy | None, allowing: set[str]
) -> str | None:
    """Name the kind of policy that would have to allow, and does not."""
    direct = resource is not None and "resource" in allowing and _names_more_than_the_account(
        caller, question, resource
    )  # fmt: skip
    if resource and resource.must_allow and "resource" not in allowing:
        return "resource"
    if direct and resource and _names_itself(caller, question, resource):
        return None  # a grant to this very session or user is bounded by denials alone
    if not direct and "identity" not in allowing:
        return "identity"
    for kind, given in (("boundary", caller.boundary), ("session", caller.session)):
        if given is not None and kind not in allowing:
            return kind
    return None


def _names_more_than_the_account(caller: Caller, question: Question, resource: ResourcePolicy) -> bool:
    """Check for an Allow to the caller, not to its account: that one leaves it to the account's own policies."""
    others = naming([resource.document], lambda word: not is_account(word, caller.principal))
    return "Allow" in effects(others, question, caller.principal)


def _names_itself(caller: Caller, question: Question, resource: ResourcePolicy) -> bool:
    itself = naming([resource.document], lambda word: word == caller.arn)
    return "Allow" in effects(itself, question, caller.principal)


def _beginning(caller: Caller, question: Question) -> str:
    return (
        f"User: {caller.arn} is not authorized to perform: {question.action} on resource: {question.resource}"
    )
