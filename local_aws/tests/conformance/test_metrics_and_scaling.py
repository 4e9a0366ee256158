"""CloudWatch's metrics and alarms, and Application Auto Scaling that follows them. All times are AWS seconds."""

import time
from functools import partial
from typing import Any

import pytest

from testbed.deployment_configs import blue_green
from testbed.serving import Serving, refused

pytestmark = [pytest.mark.sky(instances=2, minutes=60), pytest.mark.starts_processes]

PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"


def test_a_fleet_grows_with_its_load_and_shrinks_without(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one", SLOW="0.01"))
    resource = serving.scalable_target(name)
    scaling = serving.client("application-autoscaling")
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
        serving.wait_until(lambda: serving.count(name) == 2, "two instances under load")
    serving.wait_until(lambda: serving.count(name) == 1, "one instance without load")

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
    resource = serving.scalable_target(name)
    serving.client("application-autoscaling").put_scaling_policy(
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
        serving.wait_until(lambda: serving.count(name) == 2, "two instances under load")
    serving.wait_until(lambda: serving.count(name) == 1, "one instance without load")


def test_a_composite_alarm_rolls_a_deployment_back(serving: Serving) -> None:
    old, new = serving.config("old"), serving.config("new")
    name = serving.endpoint(old)
    parts = [serving.alarm(), serving.alarm("ALARM")]
    rule = " AND ".join(f'ALARM("{part}")' for part in parts)
    serving.client("cloudwatch").put_composite_alarm(AlarmName=f"both-{name}", AlarmRule=rule)
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
    cloudwatch = serving.client("cloudwatch")

    def samples() -> list[float]:
        now = time.time()
        answer = cloudwatch.get_metric_statistics(
            Namespace="/aws/sagemaker/Endpoints",
            MetricName="CPUUtilization",
            Dimensions=[
                {"Name": "EndpointName", "Value": name},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=now - max(60, 600 / serving.account.scale),
            EndTime=now + 1,
            Period=60,
            Statistics=["SampleCount"],
        )
        return [point["SampleCount"] for point in answer["Datapoints"]]

    serving.wait_until(lambda: samples().count(2.0) >= 3, "three periods with a sample of either instance")
    assert max(samples()) == 2.0


@pytest.mark.sky(minutes=0)
def test_an_alarm_is_born_without_data_and_changes_by_what_it_gets(serving: Serving) -> None:
    """Two of three minutes above 1 are an alarm; the history tells of it."""
    cloudwatch, name = serving.client("cloudwatch"), serving.name("judged")
    of = {"Namespace": "Conformance", "MetricName": name}
    cloudwatch.put_metric_alarm(
        **of,
        AlarmName=name,
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    def becomes(wanted: str, value: float) -> bool:
        cloudwatch.put_metric_data(Namespace="Conformance", MetricData=[{"MetricName": name, "Value": value}])
        return state() == wanted

    born = state()
    for wanted, value in (("ALARM", 5.0), ("OK", 0.0)):
        serving.wait_until(partial(becomes, wanted, value), f"the alarm is {wanted}")
    history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")
    changes = [item["HistorySummary"] for item in history["AlarmHistoryItems"]]

    assert born == "INSUFFICIENT_DATA"
    assert changes[0] == "Alarm updated from ALARM to OK"
    assert changes[1].endswith("to ALARM")


@pytest.mark.sky(minutes=0)
def test_a_series_has_exactly_its_dimensions_and_math_is_done_on_series(serving: Serving) -> None:
    cloudwatch, metric = serving.client("cloudwatch"), serving.name("math")
    for colour, value in (("red", 6.0), ("blue", 2.0)):
        dimensions = [{"Name": "Colour", "Value": colour}, {"Name": "Shape", "Value": "round"}]
        datum = {"MetricName": metric, "Dimensions": dimensions, "Value": value}
        cloudwatch.put_metric_data(Namespace="Conformance", MetricData=[datum])

    def stat(id_: str, *dimensions: tuple[str, str]) -> dict[str, Any]:
        of = [{"Name": name, "Value": value} for name, value in dimensions]
        what = {"Namespace": "Conformance", "MetricName": metric, "Dimensions": of}
        return {"Id": id_, "MetricStat": {"Metric": what, "Period": 86400, "Stat": "Maximum"}}

    def values() -> dict[str, list[float]]:
        now = time.time()
        answer = cloudwatch.get_metric_data(
            StartTime=now - serving.account.patience_seconds,
            EndTime=now + 60,
            MetricDataQueries=[
                stat("red", ("Colour", "red"), ("Shape", "round")),
                stat("blue", ("Colour", "blue"), ("Shape", "round")),
                stat("partly", ("Colour", "red")),
                {"Id": "ratio", "Expression": "red / blue"},
            ],
        )
        return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}

    serving.wait_until(lambda: values()["ratio"], "the metrics can be read")
    assert values() == {"red": [6.0], "blue": [2.0], "partly": [], "ratio": [3.0]}


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("ValidationException", {"ResourceId": "endpoint/no-such-endpoint/variant/AllTraffic"}),
        ("ValidationException", {"MinCapacity": 3, "MaxCapacity": 2}),
        ("ValidationException", {"ResourceId": "endpoint/nothing"}),
    ],
)
def test_a_target_that_cannot_be_scaled_is_refused(
    endpoint: tuple[Serving, str], code: str, change: dict[str, Any]
) -> None:
    serving, name = endpoint
    request = {**serving.scaling_of(name), "MinCapacity": 1, "MaxCapacity": 2, **change}

    refused(code, serving.client("application-autoscaling").register_scalable_target, **request)


def test_a_policy_needs_its_target(endpoint: tuple[Serving, str]) -> None:
    serving, name = endpoint
    metric = {"PredefinedMetricType": PER_INSTANCE}
    tracking = {"TargetValue": 60.0, "PredefinedMetricSpecification": metric}
    call = serving.client("application-autoscaling").put_scaling_policy
    request = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling", **serving.scaling_of(name)}

    refused("ObjectNotFoundException", call, **request, TargetTrackingScalingPolicyConfiguration=tracking)


def test_a_policy_shows_its_two_alarms_and_takes_them_along(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one"))
    scaling, cloudwatch = serving.client("application-autoscaling"), serving.client("cloudwatch")
    resource = serving.scalable_target(name)
    metric = {"PredefinedMetricType": PER_INSTANCE}
    tracking = {"TargetValue": 1500.0, "PredefinedMetricSpecification": metric}
    answer = scaling.put_scaling_policy(
        **resource,
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    names = sorted(alarm["AlarmName"] for alarm in answer["Alarms"])
    alarms = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    high, low = sorted(alarms, key=lambda alarm: -alarm["Threshold"])
    scaling.deregister_scalable_target(**resource)

    start = f"TargetTracking-{resource['ResourceId']}-Alarm"
    assert [one.removeprefix(start)[:3] for one in names] == ["Hig", "Low"]
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"]) == (1500, 3, 60)
    assert (low["Threshold"], low["EvaluationPeriods"], low["Period"]) == (1350, 15, 60)
    serving.wait_until(
        lambda: not cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"], "the alarms are gone"
    )


def test_a_scheduled_action_moves_the_capacity_into_its_limits(serving: Serving) -> None:
    name = serving.endpoint(serving.config("one"))
    scaling, resource = serving.client("application-autoscaling"), serving.scalable_target(name)
    scaling.put_scheduled_action(
        **resource,
        ScheduledActionName="day",
        Schedule="rate(1 minute)",
        ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 2},
    )
    serving.wait_until(lambda: serving.count(name) == 2, "two instances by day")
    scaling.deregister_scalable_target(**resource)
