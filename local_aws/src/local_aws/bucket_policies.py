"""Bucket policies as moto evaluates them, but for what they say of TLS: on loopback every connection counts as encrypted.

(moto looks at no condition of a Deny: one for connections without TLS would deny everything.)
"""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket

WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def permission(policy: bytes | None, action: str, resource: str) -> Any:
    """Say what a bucket's policy means for an action on a resource."""
    document = json.loads(policy) if policy else {"Statement": []}
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    counting = [statement for statement in statements if statement.get("Condition") != WITHOUT_TLS]
    if not counting:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps(document | {"Statement": counting})).is_action_permitted(action, resource)


def install() -> None:
    """Put it behind moto's S3."""
    seam: Any = FakeBucket
    seam.get_permission = lambda bucket, action, resource: permission(bucket.policy, action, resource)
