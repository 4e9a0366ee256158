"""IAM's condition operators, one by one."""

import pytest

from local_aws.authorisation.conditions import holds

CONTEXT = {
    "aws:epochtime": ["1800000000"],
    "aws:currenttime": ["2027-01-15T08:00:00+00:00"],
    "aws:sourceip": ["10.1.2.3"],
    "aws:securetransport": ["true"],
    "s3:max-keys": ["100"],
    "aws:principalarn": ["arn:aws:iam::123456789012:role/team/deployer"],
}


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "expected"),
    [
        ("NumericEquals", "s3:max-keys", "100.0", True),
        ("NumericNotEquals", "s3:max-keys", "100", False),
        ("NumericLessThan", "s3:max-keys", "100", False),
        ("NumericLessThanEquals", "s3:max-keys", "100", True),
        ("NumericGreaterThan", "s3:max-keys", "20", True),
        ("NumericGreaterThan", "s3:max-keys", "many", False),
        ("NumericGreaterThanEquals", "s3:absent", "1", False),
        ("DateLessThan", "aws:CurrentTime", "2027-01-15T09:00:00Z", True),
        ("DateGreaterThan", "aws:CurrentTime", "2027-01-15T09:00:00+02:00", True),
        ("DateGreaterThan", "aws:EpochTime", "1800000001", False),
        ("DateLessThan", "aws:CurrentTime", "tomorrow", False),
        ("Bool", "aws:SecureTransport", "TRUE", True),
        ("Bool", "aws:SecureTransport", "false", False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "false", True),
        ("Null", "aws:MultiFactorAuthPresent", "true", True),
        ("Null", "aws:SecureTransport", "true", False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", True),
        ("IpAddress", "aws:SourceIp", "10.1.2.4", False),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", False),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/team/*", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:*:role/team/*", False),  # a star stays between its colons
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::123456789012:role/*/deployer", True),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::123456789012:role/team/*", False),
    ],
)
def test_an_operator_is_evaluated_as_iam_does(operator: str, key: str, wanted: str, expected: bool) -> None:
    assert holds(operator, key, [wanted], CONTEXT) is expected
