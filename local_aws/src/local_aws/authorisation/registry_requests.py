"""Requests of the registry protocol as ECR's actions: who is logged in may do what its policies allow.

A client logs in with the password that GetAuthorizationToken gave it, and is the caller of that call.
"""

import base64
import binascii
import secrets

from local_aws.authorisation.callers import CURRENT_KEY, caller_of
from local_aws.authorisation.calls import Call
from local_aws.authorisation.condition_keys import keys_of
from local_aws.authorisation.decision import refusal
from local_aws.authorisation.operations import question
from local_aws.authorisation.resource_policies import owner_of, policy_of
from local_aws.errors import AwsError
from local_aws.instances.login import PASSWORD, USER
from local_aws.places import HOME, Place
from local_aws.settings import CREDENTIALS

ADMINISTRATOR = CREDENTIALS["AWS_ACCESS_KEY_ID"]
UPLOADS = {
    "POST": "ecr:InitiateLayerUpload",
    "PATCH": "ecr:UploadLayerPart",
    "PUT": "ecr:CompleteLayerUpload",
}
ACTIONS = {
    ("manifests", "GET"): "ecr:BatchGetImage",
    ("manifests", "HEAD"): "ecr:BatchGetImage",
    ("manifests", "PUT"): "ecr:PutImage",
    ("manifests", "DELETE"): "ecr:BatchDeleteImage",
    ("blobs", "GET"): "ecr:GetDownloadUrlForLayer",
    ("blobs", "HEAD"): "ecr:BatchCheckLayerAvailability",
    ("tags", "GET"): "ecr:ListImages",
    ("referrers", "GET"): "ecr:BatchGetImage",
}
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html, and of pulls."""


class RegistryLogins:
    """The passwords of this run, each with the access key that asked for it."""

    def __init__(self) -> None:
        self._keys = {PASSWORD: ADMINISTRATOR}

    def password(self) -> str:
        """Return a password of the caller of the request that is being answered."""
        key = CURRENT_KEY.get()
        if key in (None, ADMINISTRATOR):
            return PASSWORD
        made = secrets.token_urlsafe(24)
        self._keys[made] = str(key)
        return made

    def key_of(self, authorization: str) -> str | None:
        """Return the access key behind a header of basic authentication; None for one that is not known."""
        scheme, _, value = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._keys.get(password) if scheme.lower() == "basic" and user == USER else None


def refused_request(
    key: str, method: str, repository: str, part: str, rest: str, place: Place = HOME
) -> str | None:
    """Return AWS's sentence when the owner of a key may not make a request of the registry of a place; None when it may.

    Raises AwsError for a key that is no longer known.
    """
    caller = caller_of(key)
    if caller.is_root and caller.principal.account == place.account:
        return None
    is_upload = part == "blobs" and rest.startswith("uploads")
    action = UPLOADS.get(method) if is_upload else ACTIONS.get((part, method))
    if action is None:
        return f"{method} {part} of the registry is unmapped for LOCAL_AWS_IAM=enforce"
    resource = f"arn:aws:ecr:{place.region}:{place.account}:repository/{repository}"
    asked = question(action, resource, {**caller.keys, **keys_of(Call("ecr", action))})
    try:
        return refusal(caller, asked, policy_of(asked), owner_of(asked))
    except AwsError as error:
        return error.message
