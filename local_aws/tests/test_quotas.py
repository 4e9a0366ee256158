"""Quotas: SageMaker enforces what Service Quotas shows; this account has 3 ml.c5.xlarge."""

from typing import Any

import pytest

import local_aws
from testbed.deployment_configs import blue_green, rolling
from testbed.serving import Serving, refused

pytestmark = pytest.mark.starts_processes

XLARGE = {"InstanceType": "ml.c5.xlarge"}


def xlarge_config(serving: Serving, instances: int) -> str:
    return serving.config_of(serving.variant(serving.model(), instances, **XLARGE))


def limit_text(used: int, delta: int) -> str:
    return (
        "The account-level service limit 'ml.c5.xlarge for endpoint usage' is 3 Instances, with current "
        f"utilization of {used} Instances and a request delta of {delta} Instances. "
        "Please contact AWS support to request an increase for this limit."
    )


def test_the_quotas_are_told_by_type(aws: local_aws.Running) -> None:
    client = aws.client("service-quotas")
    pages = client.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    quotas = {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}

    assert quotas["ml.c5.xlarge for endpoint usage"]["Value"] == 3
    assert quotas["ml.m5.large for endpoint usage"]["Value"] == 20
    one = quotas["ml.c6i.2xlarge for endpoint usage"]
    found = client.get_service_quota(ServiceCode="sagemaker", QuotaCode=one["QuotaCode"])["Quota"]
    assert found == one
    assert len({quota["QuotaCode"] for quota in quotas.values()}) == len(quotas)


@pytest.mark.parametrize(
    ("code", "request_"),
    [
        ("NoSuchResourceException", {"ServiceCode": "sagemaker", "QuotaCode": "L-00000000"}),
        ("NotImplementedByLocalAws", {"ServiceCode": "ec2", "QuotaCode": "L-00000000"}),
    ],
)
def test_a_quota_that_is_not_known_is_an_error(
    aws: local_aws.Running, code: str, request_: dict[str, Any]
) -> None:
    client = aws.client("service-quotas")

    refused(code, client.get_service_quota, **request_)
    refused(
        "NotImplementedByLocalAws",
        client.request_service_quota_increase,
        ServiceCode="sagemaker",
        QuotaCode="L-00000000",
        DesiredValue=9.0,
    )


def test_an_endpoint_beyond_the_quota_is_refused(serving: Serving) -> None:
    call = serving.sagemaker.create_endpoint
    config = xlarge_config(serving, 4)

    message = refused("ResourceLimitExceeded", call, EndpointName="big", EndpointConfigName=config)
    assert message == limit_text(used=0, delta=4)


def test_both_fleets_of_an_update_count_and_so_does_every_endpoint(serving: Serving) -> None:
    name = serving.endpoint(xlarge_config(serving, 2))
    request = {"EndpointName": name, "EndpointConfigName": xlarge_config(serving, 2)}
    message = refused(
        "ResourceLimitExceeded",
        serving.sagemaker.update_endpoint,
        **request,
        DeploymentConfig=blue_green(),
    )
    assert message == limit_text(used=2, delta=2)
    other = {"EndpointName": "other", "EndpointConfigName": xlarge_config(serving, 2)}
    assert limit_text(used=2, delta=2) == refused(
        "ResourceLimitExceeded", serving.sagemaker.create_endpoint, **other
    )
    assert serving.describe(name)["EndpointStatus"] == "InService"


def test_a_rolling_update_needs_room_for_one_batch(serving: Serving) -> None:
    name = serving.endpoint(xlarge_config(serving, 2))
    serving.update(name, new := xlarge_config(serving, 2), DeploymentConfig=rolling())

    assert serving.settled(name)["EndpointConfigName"] == new
    request = {"EndpointName": name, "EndpointConfigName": xlarge_config(serving, 4)}
    message = refused(
        "ResourceLimitExceeded",
        serving.sagemaker.update_endpoint,
        **request,
        DeploymentConfig=rolling(batch=("INSTANCE_COUNT", 2)),
    )
    assert message == limit_text(used=2, delta=3)  # at last four new ones beside one old


def test_only_growth_counts_when_an_endpoint_is_scaled(serving: Serving) -> None:
    name = serving.endpoint(xlarge_config(serving, 1))
    call = serving.sagemaker.update_endpoint_weights_and_capacities

    def wanted(count: int) -> list[dict[str, Any]]:
        return [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]

    message = refused("ResourceLimitExceeded", call, EndpointName=name, DesiredWeightsAndCapacities=wanted(4))
    assert message == limit_text(used=1, delta=3)
    call(EndpointName=name, DesiredWeightsAndCapacities=wanted(3))
    assert serving.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    call(EndpointName=name, DesiredWeightsAndCapacities=wanted(1))
    assert serving.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
