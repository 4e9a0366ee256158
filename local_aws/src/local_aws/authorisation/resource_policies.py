"""The policies of buckets, repositories, topics, keys and roles (their trust), read from moto."""

import json
from typing import Any

from moto.ecr.models import ecr_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends

from local_aws.authorisation.decision import ResourcePolicy
from local_aws.authorisation.facts import PARTITION, role_of
from local_aws.authorisation.policies import Question
from local_aws.settings import ACCOUNT_ID, REGION

ASSUME = "sts:AssumeRole"


def policy_of(question: Question) -> ResourcePolicy | None:
    """Find the policy of the resource of a question; None where it has none, or its kind has none."""
    service, name = question.action.partition(":")[0], question.resource.rpartition(":")[2]
    if question.action == ASSUME:
        role = role_of(question.resource)
        return ResourcePolicy(json.loads(role.assume_role_policy_document) if role else {}, must_allow=True)
    if service == "s3":
        bucket = s3_backends[ACCOUNT_ID][PARTITION].buckets.get(name.partition("/")[0])
        return _read(bucket.policy if bucket else None)
    if service == "ecr":
        repository: Any = ecr_backends[ACCOUNT_ID][REGION].repositories.get(name.removeprefix("repository/"))
        return _read(repository.policy if repository else None)
    if service == "sns":
        topic = sns_backends[ACCOUNT_ID][REGION].topics.get(question.resource)
        return _read(topic.policy if topic else None)
    if service == "kms":
        key = kms_backends[ACCOUNT_ID][REGION].keys.get(name.removeprefix("key/"))
        return ResourcePolicy(json.loads(key.policy), must_allow=True) if key else None
    return None


def _read(text: str | bytes | None) -> ResourcePolicy | None:
    return ResourcePolicy(json.loads(text)) if text else None
