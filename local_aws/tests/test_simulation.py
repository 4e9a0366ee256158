"""SimulatePrincipalPolicy: the permissions of a role's policies."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

import local_aws
from local_aws.errors import AwsError
from local_aws.identity.simulation import decide

ALLOW: dict[str, Any] = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": "arn:aws:iam::1:role/serve-*",
}
ROLE = "arn:aws:iam::1:role/serve-digits"
TO_SAGEMAKER = {"iam:passedtoservice": ["sagemaker.amazonaws.com"]}
ONLY_SAGEMAKER = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([], "implicitDeny"),
        ([ALLOW], "allowed"),
        ([ALLOW | {"Action": ["s3:GetObject", "IAM:pass*"]}], "allowed"),
        ([ALLOW | {"Resource": "arn:aws:iam::1:role/other"}], "implicitDeny"),
        ([ALLOW | {"Condition": ONLY_SAGEMAKER}], "allowed"),
        ([ALLOW | {"Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}], "implicitDeny"),
        ([ALLOW, {"Effect": "Deny", "Action": "*", "Resource": "*"}], "explicitDeny"),
        ([ALLOW | {"Condition": {"Null": {"iam:PassedToService": "false"}}}], "allowed"),
        ([ALLOW | {"Condition": {"Null": {"iam:PassedToService": "true"}}}], "implicitDeny"),
        ([ALLOW | {"Condition": {"Null": {"s3:if-none-match": "true"}}}], "allowed"),
        ([ALLOW | {"Condition": {"Bool": {"iam:PassedToService": "true"}}}], "implicitDeny"),
    ],
)  # fmt: skip
def test_policies_decide_together(statements: list[dict[str, Any]], decision: str) -> None:
    policies = [{"Statement": statement} for statement in statements]

    assert decide(policies, "iam:PassRole", ROLE, TO_SAGEMAKER) == decision


def test_an_element_that_is_not_imitated_is_an_error() -> None:
    with pytest.raises(AwsError, match="Where"):
        decide(
            [{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Where": "x"}}], "a:b", "*", {}
        )


@pytest.mark.starts_processes
def test_roles_users_and_nobody_are_asked_through_boto3(aws: local_aws.Running) -> None:
    iam = aws.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName="simulated", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW | {"Resource": "*"}]})
    managed = iam.create_policy(PolicyName="may-pass", PolicyDocument=policy)["Policy"]["Arn"]
    user = iam.create_user(UserName="simulated")["User"]["Arn"]
    iam.put_user_policy(UserName="simulated", PolicyName="own", PolicyDocument=policy)

    def decision(source: str) -> str:
        asked = iam.simulate_principal_policy(
            PolicySourceArn=source, ActionNames=["iam:PassRole"], ResourceArns=[ROLE]
        )
        return str(asked["EvaluationResults"][0]["EvalDecision"])

    assert decision(role) == "implicitDeny"
    iam.attach_role_policy(RoleName="simulated", PolicyArn=managed)
    assert decision(role) == "allowed"
    assert decision(user) == "allowed"
    assert decision("arn:aws:iam::123456789012:user/moto") == "allowed", "the credentials of this AWS"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        decision("arn:aws:iam::123456789012:role/nobody")
