"""OIDC, as a workflow uses it: a token is verified, the trust policy decides, the session is the role's."""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

import local_aws
from local_aws.testing.github_issuer import GithubIssuer, Job
from testbed.serving import refused

pytestmark = pytest.mark.starts_processes

HOST = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{HOST}"
PRODUCTION = Job("ORG/REPO", environment="production")
REFUSED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
Assume = Callable[..., dict[str, Any]]


@pytest.fixture
def role(aws: local_aws.Running) -> str:
    """Create a role like the deploy workflow has it: exact audience, both forms of one subject."""
    iam = aws.client("iam")
    known = [p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    if PROVIDER not in known:
        iam.create_open_id_connect_provider(Url=f"https://{HOST}", ClientIDList=["sts.amazonaws.com"])
    subjects = [PRODUCTION.subject, replace(PRODUCTION, ids=(11, 22)).subject]
    condition = {"StringEquals": {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:sub": subjects}}
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    name = f"deploy-{secrets.token_hex(4)}"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, MaxSessionDuration=7200)
    return str(made["Role"]["Arn"])


@pytest.fixture
def assume(aws: local_aws.Running, role: str) -> Assume:
    """Assume the role with a token, unsigned, as one who has no credentials yet."""
    sts = aws.client("sts", config=Config(signature_version=UNSIGNED))

    def call(token: str, **request: Any) -> dict[str, Any]:
        given = {"RoleArn": role, "RoleSessionName": "deploy", "WebIdentityToken": token}
        answer: dict[str, Any] = sts.assume_role_with_web_identity(**given | request)
        return answer

    return call


@pytest.mark.parametrize("job", [PRODUCTION, replace(PRODUCTION, ids=(11, 22))])
def test_the_right_job_gets_a_session_of_the_role(
    aws: local_aws.Running, issuer: GithubIssuer, assume: Assume, role: str, job: Job
) -> None:
    """Both forms of `sub` that GitHub issues."""
    answer = assume(issuer.mint(job), DurationSeconds=900)

    keys = answer["Credentials"]
    session = boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="eu-west-1"
    )
    me = session.client("sts", endpoint_url=aws.url).get_caller_identity()
    assert me["Arn"] == role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/deploy"
    assert answer["SubjectFromWebIdentityToken"] == job.subject
    assert (answer["Audience"], answer["Provider"]) == ("sts.amazonaws.com", PROVIDER)
    assert 890 < keys["Expiration"].timestamp() - time.time() <= 900


@pytest.mark.parametrize(
    "job",
    [
        replace(PRODUCTION, environment="staging"),
        replace(PRODUCTION, environment=None),  # a branch
        replace(PRODUCTION, environment=None, event="pull_request"),
        replace(PRODUCTION, repository="FORK/REPO"),
        replace(PRODUCTION, ids=(11, 23)),  # another repository under an old name
    ],
)
def test_any_other_job_is_refused(issuer: GithubIssuer, assume: Assume, job: Job) -> None:
    with pytest.raises(ClientError) as caught:
        assume(issuer.mint(job))

    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("AccessDenied", REFUSED)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_role_that_does_not_exist_is_refused_alike(issuer: GithubIssuer, assume: Assume) -> None:
    arn = "arn:aws:iam::123456789012:role/nobody"

    assert refused("AccessDenied", assume, token=issuer.mint(PRODUCTION), RoleArn=arn) == REFUSED


def test_a_token_that_does_not_hold_is_refused_before_any_policy(
    issuer: GithubIssuer, assume: Assume
) -> None:
    with GithubIssuer() as forger:  # says that it is GitHub, and signs with a key of its own
        forged = forger.mint(PRODUCTION)
    head, _, signature = issuer.mint(replace(PRODUCTION, environment="staging")).split(".")
    changed = ".".join((head, issuer.mint(PRODUCTION).split(".")[1], signature))
    old = issuer.mint(PRODUCTION, exp=int(time.time()) - 1)

    for token in (forged, changed):
        assert "verification key" in refused("InvalidIdentityToken", assume, token=token)
    assert "not a valid JWT" in refused("InvalidIdentityToken", assume, token="no token")
    assert "Token expired" in refused("ExpiredTokenException", assume, token=old)
    audience = issuer.mint(PRODUCTION, audience="https://github.com/ORG")
    assert refused("InvalidIdentityToken", assume, token=audience) == "Incorrect token audience"
    stranger = issuer.mint(PRODUCTION, iss="https://gitlab.example")
    assert "No OpenIDConnect provider" in refused("InvalidIdentityToken", assume, token=stranger)


def test_a_token_without_algorithm_is_refused(issuer: GithubIssuer, assume: Assume) -> None:
    payload = issuer.mint(PRODUCTION).split(".")[1]
    none = f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."

    refused("InvalidIdentityToken", assume, token=none)


def test_a_session_cannot_be_longer_than_the_role_allows(issuer: GithubIssuer, assume: Assume) -> None:
    token = issuer.mint(PRODUCTION)

    assert assume(token, DurationSeconds=7200)["Credentials"]
    assert "MaxSessionDuration" in refused("ValidationError", assume, token=token, DurationSeconds=7201)
    refused("NotImplementedByLocalAws", assume, token=token, Policy="{}")


def test_an_issuer_that_does_not_answer_is_named(aws: local_aws.Running, assume: Assume) -> None:
    with GithubIssuer() as gone:
        gone.issuer = gone.url  # its documents are at its own address
        aws.client("iam").create_open_id_connect_provider(Url=gone.url, ClientIDList=["sts.amazonaws.com"])
        token = gone.mint(PRODUCTION)
        assert refused("AccessDenied", assume, token=token) == REFUSED  # known, but not trusted by the role

    assert gone.url in refused("IDPCommunicationError", assume, token=token)


def test_a_job_asks_for_its_token_as_on_github(issuer: GithubIssuer, assume: Assume) -> None:
    environ = issuer.job_environ(PRODUCTION)
    url = f"{environ['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=sts.amazonaws.com"
    bearer = {"Authorization": f"bearer {environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=bearer), timeout=5) as answer:
        token = json.load(answer)["value"]

    assert assume(token)["SubjectFromWebIdentityToken"] == "repo:ORG/REPO:environment:production"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=5)
