"""CloudWatch's limits, through boto3: what PutMetricAlarm's, PutMetricData's and MetricDatum's references refuse."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.cloudwatch import Alarms
from testbed.metrics import alarm, composite

SNS = "arn:aws:sns:eu-west-1:123456789012:alerts"
DATUM = {"MetricName": "Latency", "Value": 1.0}


def of(**dimensions: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"Period": 5}, "must be 10, 20, 30 or a multiple of 60"),
        ({"EvaluationPeriods": 1441}, "more than a day"),
        ({"Period": 3600, "EvaluationPeriods": 169}, "more than a week"),
        ({"AlarmName": "n" * 256}, "less than or equal to 255"),
        ({"AlarmActions": [f"{SNS}-{n}" for n in range(6)]}, "less than or equal to 5"),
        ({"AlarmActions": ["foo"]}, "Invalid arn syntax: foo"),
        (
            {"OKActions": ["arn:aws:dynamodb:eu-west-1:123456789012:table/t"]},
            "alarm cannot start arn:aws:dynamodb",
        ),
        ({"Dimensions": of(**{f"d{n}": "x" for n in range(31)})}, "less than or equal to 30"),
        ({"Unit": "Foos"}, "enum value set"),
    ],
)
def test_an_alarm_beyond_a_limit_is_refused(
    cloudwatch: Any, alarms: Alarms, wrong: dict[str, Any], words: str
) -> None:
    request = alarm(**wrong)
    with pytest.raises(ClientError, match=words) as caught:
        cloudwatch.put_metric_alarm(**request)

    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert alarms.state(request["AlarmName"]) is None


@pytest.mark.parametrize(
    "right",
    [
        {"EvaluationPeriods": 1440},
        {"Period": 3600, "EvaluationPeriods": 168},
        {"Period": 30},
        {"AlarmName": "n" * 255},
        {"AlarmActions": [f"{SNS}-{n}" for n in range(5)]},
        {"AlarmActions": ["arn:aws:automate:eu-west-1:ec2:stop"]},
        {"OKActions": ["arn:aws:ssm-incidents::123456789012:responseplan/plan"]},
        {"Dimensions": of(**{f"d{n}": "x" for n in range(30)})},
        {"Unit": "Count/Second"},
    ],
)
def test_an_alarm_at_a_limit_is_taken(cloudwatch: Any, alarms: Alarms, right: dict[str, Any]) -> None:
    request = alarm(**right)
    cloudwatch.put_metric_alarm(**request)

    assert alarms.state(request["AlarmName"]) == "INSUFFICIENT_DATA"


def test_a_composite_alarm_has_the_limits_of_its_own_operation(pair: Any) -> None:
    with pytest.raises(ClientError, match="less than or equal to 5"):
        composite(pair, "both", "ALARM(slow)", AlarmActions=[f"{SNS}-{n}" for n in range(6)])
    with pytest.raises(ClientError, match="Invalid arn syntax"):
        composite(pair, "both", "ALARM(slow)", AlarmActions=["foo"])


@pytest.mark.parametrize(
    ("namespace", "wrong", "words"),
    [
        ("AWS/SageMaker", {}, "that begin with AWS/ are AWS's"),
        (":mine", {}, "pattern"),
        ("Digits", {"Values": [float(n) for n in range(151)]}, "greater than 150"),
        ("Digits", {"Value": 2.0**361}, "2\\^360"),
        ("Digits", {"Values": [-(2.0**361)]}, "2\\^360"),
        ("Digits", {"StorageResolution": 5}, "must be 1 or 60"),
        ("Digits", {"Unit": "Foos"}, "enum value set"),
        ("Digits", {"MetricName": "n" * 256}, "less than or equal to 255"),
        ("Digits", {"Dimensions": of(**{f"d{n}": "x" for n in range(31)})}, "less than or equal to 30"),
    ],
)
def test_a_datum_beyond_a_limit_is_refused_and_leaves_nothing(
    cloudwatch: Any, namespace: str, wrong: dict[str, Any], words: str
) -> None:
    datum = {
        name: value for name, value in (DATUM | wrong).items() if not ("Values" in wrong and name == "Value")
    }
    with pytest.raises(ClientError, match=words):
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[DATUM, datum])

    assert cloudwatch.list_metrics()["Metrics"] == []


def test_more_than_a_thousand_data_are_refused(cloudwatch: Any) -> None:
    cloudwatch.put_metric_data(Namespace="Digits", MetricData=[DATUM] * 1000)
    with pytest.raises(ClientError, match="greater than 1000"):
        cloudwatch.put_metric_data(Namespace="Digits", MetricData=[DATUM] * 1001)


@pytest.mark.parametrize(
    "right",
    [
        {"Values": [float(n) for n in range(150)]},
        {"Value": 2.0**360},
        {"StorageResolution": 1},
        {"StorageResolution": 60},
    ],
)
def test_a_datum_at_a_limit_is_taken(cloudwatch: Any, right: dict[str, Any]) -> None:
    cloudwatch.put_metric_data(Namespace="Digits", MetricData=[{"MetricName": "Latency"} | right])

    assert [one["MetricName"] for one in cloudwatch.list_metrics()["Metrics"]] == ["Latency"]
