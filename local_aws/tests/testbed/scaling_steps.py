"""Step adjustments for tests of step policies."""

from typing import Any

from testbed.scaling_simulation import IDENTITY, METRIC, ScalingSimulation


def step(by: int, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
    bounds = {"MetricIntervalLowerBound": lower, "MetricIntervalUpperBound": upper}
    return {"ScalingAdjustment": by} | {name: value for name, value in bounds.items() if value is not None}


def steps(*adjustments: dict[str, Any], kind: str = "ChangeInCapacity", **more: Any) -> dict[str, Any]:
    return {"AdjustmentType": kind, "StepAdjustments": list(adjustments), **more}


OUT = steps(step(1, 0, 100), step(3, 100), Cooldown=0)


IN = steps(step(-1, None, 0), Cooldown=0)


class Stepped(ScalingSimulation):
    """A simulation with a registered target, whose alarms watch the metric that the minutes are full of."""

    def step_policy(self, name: str, configuration: dict[str, Any]) -> str:
        request = IDENTITY | {"PolicyName": name, "PolicyType": "StepScaling"}
        answer = self.call("PutScalingPolicy", **request, StepScalingPolicyConfiguration=configuration)
        assert answer["Alarms"] == []
        return str(answer["PolicyARN"])

    def alarm(self, name: str, arn: str, threshold: float = 600.0, **more: Any) -> None:
        namespace, metric, dimensions = METRIC
        self.alarms.put(
            {
                "AlarmName": name,
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": threshold,
                "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": [arn],
            }
            | more
        )
