"""moto's bucket policies, without their conditions on TLS: a connection on loopback counts as encrypted.

(moto ignores the conditions of a Deny: one for connections without TLS would deny everything.)
"""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket

WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def permission(policy: bytes | None, action: str, resource: str) -> Any:
    """Evaluate a bucket's policy for an action on a resource."""
    document = json.loads(policy) if policy else {"Statement": []}
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    counting = [statement for statement in statements if statement.get("Condition") != WITHOUT_TLS]
    if not counting:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps(document | {"Statement": counting})).is_action_permitted(action, resource)


def install(*, enforced_before: bool = False) -> None:
    """Install it in moto's S3; `enforced_before`: the gate has judged every request by the policy already."""
    seam: Any = FakeBucket
    if enforced_before:
        seam.get_permission = lambda *_: PermissionResult.NEUTRAL
        return
    seam.get_permission = lambda bucket, action, resource: permission(bucket.policy, action, resource)
