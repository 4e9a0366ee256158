"""Service Quotas for endpoint instances, from one table that SageMaker also enforces."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.errors import AwsError, not_imitated
from local_aws.instances import instance_type
from local_aws.places import account_id, region
from local_aws.sagemaker.listing import page_of
from local_aws.shapes import service_model

SERVICE_CODE = "sagemaker"
PAGE = 100
OTHERS = "*"


class Quotas:
    """The quotas of this account, as a Service; `table` has instances by type, and "*" for all other types."""

    actions = frozenset({"ListServiceQuotas", "GetServiceQuota"})

    def __init__(self, table: Mapping[str, int]) -> None:
        self._table = table

    def check(self, used: Mapping[str, int], more: Mapping[str, int]) -> None:
        """Check `more` instances by type beside those in use. Raises AwsError (ResourceLimitExceeded)."""
        for kind, count in more.items():
            limit, now = self._limit(kind), used.get(kind, 0)
            if count > 0 and now + count > limit:
                raise AwsError(
                    "ResourceLimitExceeded",
                    f"The account-level service limit '{kind} for endpoint usage' is {limit} Instances, with "
                    f"current utilization of {now} Instances and a request delta of {count} Instances. "
                    "Please contact AWS support to request an increase for this limit.",
                )

    async def handle(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request. Raises AwsError."""
        if request.keys() & {"QuotaAppliedAtLevel", "ContextId"}:
            raise not_imitated("A quota of a single resource")
        if request["ServiceCode"] != SERVICE_CODE:
            raise not_imitated(f"The quotas of {request['ServiceCode']}")
        wanted = request.get("QuotaCode")
        found = [quota for quota in map(self._quota, _types()) if wanted in (None, quota["QuotaCode"])]
        if action == "ListServiceQuotas":
            page, token = page_of(found, request, PAGE)
            return {"Quotas": page} | token
        if not found:
            raise AwsError("NoSuchResourceException", f"There is no quota {wanted} of {SERVICE_CODE}.")
        return {"Quota": found[0]}

    def _limit(self, kind: str) -> int:
        return self._table.get(kind, self._table[OTHERS])

    def _quota(self, kind: str) -> dict[str, Any]:
        name = f"{kind} for endpoint usage"
        code = f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"  # AWS's own codes are not known
        return {
            "ServiceCode": SERVICE_CODE,
            "ServiceName": "Amazon SageMaker",
            "QuotaArn": f"arn:aws:servicequotas:{region()}:{account_id()}:{SERVICE_CODE}/{code}",
            "QuotaCode": code,
            "QuotaName": name,
            "Value": float(self._limit(kind)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def _types() -> Iterable[str]:
    """List the instance types that endpoints can have here."""
    for name in service_model("sagemaker").shape_for("ProductionVariantInstanceType").enum:
        try:
            yield instance_type(name).name
        except AwsError:
            continue
