"""The types that several sections of an environment share, and the lengths that AWS allows."""

from typing import Annotated, Literal

from pydantic import Field

# SageMaker allows 63 characters for an endpoint config's name. Ours is
# <endpoint>-<release id, 21>-<hash 8>, and the measuring endpoint is called <endpoint>-capacity.
LONGEST_NAME = 63
CAPACITY_SUFFIX = "-capacity"
BASELINE_SUFFIX = "-baseline"  # as long; both measure, on one instance, and are deleted afterwards
LONGEST_ENDPOINT = LONGEST_NAME - len("-") - 21 - len("-") - 8 - len(CAPACITY_SUFFIX)

Percent = Annotated[float, Field(ge=0, le=100)]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
AwsName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$")]
ShortName = Annotated[str, Field(pattern=r"^[a-z0-9](-*[a-z0-9])*$", max_length=40)]
KmsKey = Annotated[str, Field(pattern=r"^(alias/[\w/-]+|[0-9a-f-]{36}|arn:aws[a-z-]*:kms:[\w:/-]+)$")]
SnsTopic = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+$", max_length=256)
]

# The metrics and statistics of CloudWatch alarms, both of those that roll back and of those that scale.
Namespace = Annotated[str, Field(pattern=r"^[^:\s]{1,255}$")]
Metric = Annotated[str, Field(min_length=1, max_length=255)]
Statistic = Annotated[
    str, Field(pattern=r"^(Average|Sum|Minimum|Maximum|SampleCount|p\d{1,2}(\.\d{1,10})?)$")
]
Period = Literal[10, 30, 60, 120, 180, 300]
MinutePeriod = Literal[60, 120, 180, 300]  # of AWS's own metrics, which have one datapoint a minute
MissingData = Literal["not_breaching", "breaching", "ignore", "missing"]
