"""Requests become metrics, metrics become alarms, and alarms act: on a deployment, and on an instance count."""

from typing import Any

from tests.local_aws.serving import Serving, blue_green, until

PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"


def test_a_release_that_answers_500_is_rolled_back_by_an_alarm_on_its_own_metrics(serving: Serving) -> None:
    old = serving.config("old", instances=2)
    bad = serving.config("bad", instances=2, STATUS="500")
    name = serving.endpoint(old)
    alarm = f"errors-{bad}"
    dimensions = {"EndpointName": name, "VariantName": "AllTraffic", "EndpointConfigName": bad}
    serving.aws.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.01,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    policy = blue_green("CANARY", wait=3600, alarms=(alarm,))
    with serving.traffic(name) as traffic:
        serving.update(name, bad, DeploymentConfig=policy)
        description = serving.settled(name)

    assert description["EndpointConfigName"] == old
    assert alarm in description["FailureReason"]
    counts = _endpoint(serving, name)["requests"]
    assert counts[bad] == {"500": len(traffic.failures)}
    assert counts[old] == {"200": len(traffic.answers)}


def test_a_fleet_grows_with_its_load_and_shrinks_without(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one", SLOW="0.01"))
    resource = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling = serving.aws.client("application-autoscaling")
    scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
    scaling.put_scaling_policy(
        **resource,
        PolicyName="per-instance",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 60.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": PER_INSTANCE},
            "ScaleInCooldown": 0,
            "ScaleOutCooldown": 0,
        },
    )
    with serving.traffic(name) as traffic:
        until(lambda: _count(serving, name) == 2, "two instances under load")
    until(lambda: _count(serving, name) == 1, "one instance without load", seconds=30)

    assert traffic.failures == []
    activities = scaling.describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=resource["ResourceId"]
    )["ScalingActivities"]
    assert [activity["Description"] for activity in activities] == [
        "Setting desired instance count to 1.",
        "Setting desired instance count to 2.",
    ]


def test_utilisation_of_every_instance_is_published(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one", instances=2))
    cloudwatch = serving.aws.client("cloudwatch")

    def published() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cloudwatch.list_metrics(
            Namespace="/aws/sagemaker/Endpoints", Dimensions=[{"Name": "EndpointName", "Value": name}]
        )["Metrics"]
        return found

    assert {metric["MetricName"] for metric in until(published, "utilisation is published")} >= {
        "CPUUtilization"
    }


def _endpoint(serving: Serving, name: str) -> dict[str, Any]:
    return next(e for e in serving.aws.status()["endpoints"] if e["name"] == name)


def _count(serving: Serving, name: str) -> int:
    description = serving.describe(name)
    settled = description["EndpointStatus"] == "InService"
    return int(description["ProductionVariants"][0]["CurrentInstanceCount"]) if settled else 0
