"""The policies of buckets, repositories, topics, keys and roles (their trust), read from moto."""

import json
from typing import Any

from moto.ecr.models import ecr_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

from local_aws.authorisation.decision import ResourcePolicy
from local_aws.authorisation.facts import bucket_named, role_of
from local_aws.authorisation.policies import Question
from local_aws.places import account_in, region_in

ASSUME = "sts:AssumeRole"


def policy_of(question: Question) -> ResourcePolicy | None:
    """Find the policy of the resource of a question; None where it has none, or its kind has none."""
    service, name = question.action.partition(":")[0], question.resource.rpartition(":")[2]
    account, region = account_in(question.resource), region_in(question.resource)
    if question.action == ASSUME:
        role = role_of(question.resource)
        return ResourcePolicy(json.loads(role.assume_role_policy_document) if role else {}, must_allow=True)
    if service == "s3":
        bucket = bucket_named(name.partition("/")[0])
        return _read(bucket.policy if bucket else None)
    if not (account and region):
        return None
    if service == "ecr":
        repository: Any = ecr_backends[account][region].repositories.get(name.removeprefix("repository/"))
        return _read(repository.policy if repository else None)
    if service == "sns":
        topic = sns_backends[account][region].topics.get(question.resource)
        return _read(topic.policy if topic else None)
    if service == "kms":
        key = kms_backends[account][region].keys.get(name.removeprefix("key/"))
        return ResourcePolicy(json.loads(key.policy), must_allow=True) if key else None
    return None


def owner_of(question: Question) -> str:
    """Return the account of the resource of a question; nothing where it is in none, or in any (`*`)."""
    if question.action == "s3:CreateBucket":
        return ""  # the bucket is the caller's to be, if its name is not taken
    if question.action.startswith("s3:"):
        bucket = bucket_named(question.resource.rpartition(":")[2].partition("/")[0])
        return str(bucket.account_id) if bucket else ""
    account = account_in(question.resource)
    return account if account.isdigit() else ""


def _read(text: str | bytes | None) -> ResourcePolicy | None:
    return ResourcePolicy(json.loads(text)) if text else None
