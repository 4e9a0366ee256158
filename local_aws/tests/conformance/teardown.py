"""Everything whose name begins with a prefix, deleted; what cannot be deleted yet is waited for, with a bound."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from conformance.account import AwsAccount

LONGEST_SECONDS = 3600
"""An endpoint that is being created for want of health or capacity can be deleted only when AWS gives up."""
BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def tear_down(account: AwsAccount, report: Callable[[str], None] = print) -> None:
    """Delete all that the tests have made. Raises TimeoutError naming what is left. Repeatable."""
    assert account.prefix, "without a prefix this would be everything"
    for delete in (_targets, _endpoints, _configs_and_models, _alarms, _logs, _repository):
        for line in delete(account):
            report(f"deleted {line}")


def _pages(client: Any, operation: str, key: str, **request: Any) -> list[Any]:
    return [one for page in client.get_paginator(operation).paginate(**request) for one in page[key]]


def _targets(account: AwsAccount) -> Iterator[str]:
    scaling = account.client("application-autoscaling")
    found = _pages(scaling, "describe_scalable_targets", "ScalableTargets", ServiceNamespace="sagemaker")
    for target in found:
        if target["ResourceId"].startswith(f"endpoint/{account.prefix}"):
            names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
            scaling.deregister_scalable_target(**{name: target[name] for name in names})
            yield f"scalable target {target['ResourceId']}"


def _endpoints(account: AwsAccount) -> Iterator[str]:
    sagemaker = account.client("sagemaker")
    end = time.monotonic() + max(LONGEST_SECONDS / account.scale, 60.0)
    while left := _pages(sagemaker, "list_endpoints", "Endpoints", NameContains=account.prefix):
        for endpoint in left:
            if endpoint["EndpointStatus"] not in BUSY:
                sagemaker.delete_endpoint(EndpointName=endpoint["EndpointName"])
                yield f"endpoint {endpoint['EndpointName']}"
        if time.monotonic() > end:
            names = ", ".join(f"{e['EndpointName']} ({e['EndpointStatus']})" for e in left)
            raise TimeoutError(f"delete these by hand, they cost money: {names}")
        time.sleep(account.poll_seconds)


def _configs_and_models(account: AwsAccount) -> Iterator[str]:
    sagemaker = account.client("sagemaker")
    for kind, listing in (("EndpointConfig", "list_endpoint_configs"), ("Model", "list_models")):
        for one in _pages(sagemaker, listing, f"{kind}s", NameContains=account.prefix):
            name = one[f"{kind}Name"]
            if kind == "Model":
                sagemaker.delete_model(ModelName=name)
            else:
                sagemaker.delete_endpoint_config(EndpointConfigName=name)
            yield f"{kind} {name}"


def _alarms(account: AwsAccount) -> Iterator[str]:
    cloudwatch = account.client("cloudwatch")
    for kind in ("CompositeAlarm", "MetricAlarm"):  # those that name others first, one by one as AWS wants it
        starts = (f"both-{account.prefix}", account.prefix, f"TargetTracking-endpoint/{account.prefix}")
        for start in starts:
            request = {"AlarmNamePrefix": start, "AlarmTypes": [kind]}
            for alarm in _pages(cloudwatch, "describe_alarms", f"{kind}s", **request):
                cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
                yield f"alarm {alarm['AlarmName']}"


def _logs(account: AwsAccount) -> Iterator[str]:
    logs, start = account.client("logs"), f"/aws/sagemaker/Endpoints/{account.prefix}"
    for group in _pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=start):
        logs.delete_log_group(logGroupName=group["logGroupName"])
        yield f"log group {group['logGroupName']}"


def _repository(account: AwsAccount) -> Iterator[str]:
    try:
        account.client("ecr").delete_repository(repositoryName=account.prefix, force=True)
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise
    else:
        yield f"repository {account.prefix}"
