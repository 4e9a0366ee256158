"""Requests become metrics, metrics become alarms, and alarms act: on a deployment, and on an instance count."""

from typing import Any

import pytest

from local_aws import status
from local_aws.testing import wait_until
from testbed.deployment_configs import blue_green
from testbed.serving import Serving

pytestmark = pytest.mark.starts_processes


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


def test_an_alarm_of_the_users_own_starts_a_step_policy_and_a_schedule_moves_the_limits(
    serving: Serving,
) -> None:
    name = serving.endpoint(serving.config("one"))
    resource = serving.scalable_target(name)
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
    wait_until(lambda: serving.count(name) == 2, "a second instance")
    scaling.put_scheduled_action(
        **resource,
        ScheduledActionName="night",
        Schedule="rate(1 minute)",
        Timezone="Europe/Dublin",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1},
    )
    wait_until(lambda: serving.count(name) == 1, "one instance at night")

    table = status.table(serving.aws.status())
    for words in (
        f"busy-{name}",
        "add-one StepScaling",
        "night rate(1 minute)",
        "scheduled action name night",
    ):
        assert words in table, table
    scaling.deregister_scalable_target(**resource)


def _endpoint(serving: Serving, name: str) -> dict[str, Any]:
    return next(e for e in serving.aws.status()["endpoints"] if e["name"] == name)
