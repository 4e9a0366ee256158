"""Requests become metrics, metrics become alarms, and alarms act: on a deployment, and on an instance count."""

import time
from typing import Any

from local_aws import status
from tests.local_aws.serving import Serving, blue_green, until

PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"


def test_a_release_that_answers_500_is_rolled_back_by_an_alarm_on_its_own_metrics(serving: Serving) -> None:
    old = serving.config("old", instances=2)
    bad = serving.config("bad", instances=2, STATUS="500")
    name = serving.endpoint(old)
    alarm = serving.error_alarm(name, bad)
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
    resource = _scalable_target(serving, name)
    scaling = serving.aws.client("application-autoscaling")
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


def test_a_fleet_follows_its_concurrency_at_high_resolution(serving: Serving) -> None:
    """Four clients that wait for one instance make two; without them the zeros bring one back."""
    name = serving.endpoint(serving.config("one", SLOW="0.02"))
    resource = _scalable_target(serving, name)
    serving.aws.client("application-autoscaling").put_scaling_policy(
        **resource,
        PolicyName="concurrency",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 1.5,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
            },
            "ScaleInCooldown": 0,
            "ScaleOutCooldown": 0,
        },
    )
    with serving.traffic(name):
        until(lambda: _count(serving, name) == 2, "two instances under load")
    until(lambda: _count(serving, name) == 1, "one instance without load", seconds=30)


def test_an_alarm_of_the_users_own_starts_a_step_policy_and_a_schedule_moves_the_limits(
    serving: Serving,
) -> None:
    name = serving.endpoint(serving.config("one"))
    resource = _scalable_target(serving, name)
    scaling = serving.aws.client("application-autoscaling")
    arn = scaling.put_scaling_policy(
        **resource,
        PolicyName="add-one",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    )["PolicyARN"]
    serving.aws.client("cloudwatch").put_metric_alarm(
        AlarmName=f"busy-{name}",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=30,  # one request is remembered until the alarm is next judged, on a busy machine too
        DatapointsToAlarm=1,
        Threshold=0.5,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arn],
    )
    serving.invoke(name)
    until(lambda: _count(serving, name) == 2, "a second instance")
    scaling.put_scheduled_action(
        **resource,
        ScheduledActionName="night",
        Schedule="rate(1 minute)",
        Timezone="Europe/Dublin",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1},
    )
    until(lambda: _count(serving, name) == 1, "one instance at night")

    table = status.table(serving.aws.status())
    for words in (
        f"busy-{name}",
        "add-one StepScaling",
        "night rate(1 minute)",
        "scheduled action name night",
    ):
        assert words in table, table
    scaling.deregister_scalable_target(**resource)


def test_a_composite_alarm_rolls_a_deployment_back(serving: Serving) -> None:
    old, new = serving.config("old"), serving.config("new")
    name = serving.endpoint(old)
    parts = [serving.alarm(), serving.alarm("ALARM")]
    rule = " AND ".join(f'ALARM("{part}")' for part in parts)
    serving.aws.client("cloudwatch").put_composite_alarm(AlarmName=f"both-{name}", AlarmRule=rule)
    serving.update(
        name, new, DeploymentConfig=blue_green(wait=3600, termination=3600, alarms=(f"both-{name}",))
    )
    serving.stage(name, "Baking")

    serving.set_alarm(parts[0], "ALARM")
    description = serving.settled(name)

    assert description["EndpointConfigName"] == old
    assert f"both-{name}" in description["FailureReason"]


def test_utilisation_never_has_more_samples_in_a_period_than_instances(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one", instances=2))
    cloudwatch = serving.aws.client("cloudwatch")

    def samples() -> list[float]:
        now = time.time()
        answer = cloudwatch.get_metric_statistics(
            Namespace="/aws/sagemaker/Endpoints",
            MetricName="CPUUtilization",
            Dimensions=[
                {"Name": "EndpointName", "Value": name},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=now - 60,
            EndTime=now + 1,
            Period=60,
            Statistics=["SampleCount"],
        )
        return [point["SampleCount"] for point in answer["Datapoints"]]

    until(lambda: samples().count(2.0) >= 3, "three periods with a sample of either instance")
    assert max(samples()) == 2.0


def _scalable_target(serving: Serving, name: str) -> dict[str, str]:
    """Let the variant of an endpoint have one or two instances."""
    resource = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling = serving.aws.client("application-autoscaling")
    scaling.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
    return resource


def _endpoint(serving: Serving, name: str) -> dict[str, Any]:
    return next(e for e in serving.aws.status()["endpoints"] if e["name"] == name)


def _count(serving: Serving, name: str) -> int:
    description = serving.describe(name)
    settled = description["EndpointStatus"] == "InService"
    return int(description["ProductionVariants"][0]["CurrentInstanceCount"]) if settled else 0
