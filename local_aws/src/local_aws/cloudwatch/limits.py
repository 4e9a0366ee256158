"""CloudWatch's limits, those of the API's own model and those that it leaves to the service.

Sources: the references of PutMetricAlarm, PutCompositeAlarm, PutMetricData and MetricDatum.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError

from local_aws.errors import AwsError
from local_aws.shapes import check_request

ACTIONS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
"""The field with the actions of each state."""
DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600
MOST_DATA = 1_000
MOST_VALUES = 150
MOST_MAGNITUDE = 2.0**360
RESOLUTIONS = (1, 60)
_ACTION = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z-]+):.+")
_METRIC_ACTIONS = ("automate", "swf", "autoscaling", "lambda", "sns", "ssm", "ssm-incidents", "aiops")
_COMPOSITE_ACTIONS = ("lambda", "sns", "ssm", "ssm-incidents", "aiops")


def check_model(action: str, request: dict[str, Any]) -> None:
    """Check a request against the API's own model: lengths, counts and enumerations. Raises ValidationError."""
    try:
        check_request("cloudwatch", action, request)
    except AwsError as error:
        raise ValidationError(error.message) from error


def check_period(period: int, evaluation_periods: int) -> None:
    """Check an alarm's period, and that it evaluates at most a day, or a week by the hour. Raises ValidationError."""
    if period not in (10, 20, 30) and period % 60:
        raise ValidationError(f"Period {period} must be 10, 20, 30 or a multiple of 60.")
    most = DAY_SECONDS if period < HOUR_SECONDS else 7 * DAY_SECONDS
    if period * evaluation_periods > most:
        raise ValidationError(
            f"Metrics cannot be checked across more than {'a day' if most == DAY_SECONDS else 'a week'} "
            f"(EvaluationPeriods * Period must be <= {most})."
        )


def check_actions(request: Mapping[str, Any]) -> None:
    """Check that each action of an alarm is the ARN of a kind that such an alarm can start. Raises ValidationError."""
    kinds = _COMPOSITE_ACTIONS if "AlarmRule" in request else _METRIC_ACTIONS
    for field in ACTIONS.values():
        for arn in request.get(field) or ():
            match = _ACTION.fullmatch(arn)
            if match is None:
                raise ValidationError(f"Invalid arn syntax: {arn}")
            if match["service"] not in kinds:
                what = "composite" if "AlarmRule" in request else "metric"
                raise ValidationError(f"A {what} alarm cannot start {arn}: use one of {', '.join(kinds)}.")


def check_data(namespace: str, data: Sequence[Mapping[str, Any]]) -> None:
    """Check a client's data. Raises InvalidParameterValue."""
    if namespace.startswith("AWS/"):
        raise InvalidParameterValue(
            f"The value {namespace} for parameter Namespace is invalid: namespaces that begin with AWS/ are AWS's."
        )
    if len(data) > MOST_DATA:
        raise InvalidParameterValue(
            f"The collection MetricData must not have a size greater than {MOST_DATA}."
        )
    for number, datum in enumerate(data, 1):
        _check_datum(f"MetricData.member.{number}", datum)


def _check_datum(where: str, datum: Mapping[str, Any]) -> None:
    summary = datum.get("StatisticValues") or {}
    if len(datum.get("Values") or ()) > MOST_VALUES:
        raise InvalidParameterValue(
            f"The collection {where}.Values must not have a size greater than {MOST_VALUES}."
        )
    values = [
        float(datum.get("Value", 0)),
        *map(float, datum.get("Values") or ()),
        *map(float, summary.values()),
    ]
    if not all(math.isfinite(value) for value in values):
        raise InvalidParameterValue(f"The values of {where} must be finite numbers.")
    if any(abs(value) > MOST_MAGNITUDE for value in values):
        raise InvalidParameterValue(f"The values of {where} must be from -2^360 to 2^360.")
    counts = [*(datum.get("Counts") or ()), *([summary["SampleCount"]] if summary else ())]
    if not all(0 < float(count) < math.inf for count in counts):
        raise InvalidParameterValue(f"The counts of {where} must be above 0.")
    if datum.get("StorageResolution") not in (None, *RESOLUTIONS):
        raise InvalidParameterValue(f"The value of {where}.StorageResolution must be 1 or 60.")
    names = [dimension["Name"] for dimension in datum.get("Dimensions") or ()]
    if len(set(names)) < len(names):
        raise InvalidParameterValue(
            f"Two dimensions of one name, in {where}, are not imitated by this local AWS."
        )
