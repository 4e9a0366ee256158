"""The registry protocol by ECR's actions: a login is its caller's, and may do what its caller may."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from local_aws.authorisation.callers import CURRENT_KEY
from local_aws.authorisation.registry_requests import RegistryLogins, refused_request
from local_aws.instances.login import PASSWORD, USER
from local_aws.places import Place
from local_aws.settings import ACCOUNT_ID, CREDENTIALS, REGION

NAME = "of-registry-requests"
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{NAME}"
PULLS = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSHES = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage")
REQUESTS = {
    "ecr:BatchGetImage": ("GET", "manifests", "v1"),
    "ecr:GetDownloadUrlForLayer": ("GET", "blobs", "sha256:0"),
    "ecr:BatchCheckLayerAvailability": ("HEAD", "blobs", "sha256:0"),
    "ecr:InitiateLayerUpload": ("POST", "blobs", "uploads/"),
    "ecr:UploadLayerPart": ("PATCH", "blobs", "uploads/1"),
    "ecr:CompleteLayerUpload": ("PUT", "blobs", "uploads/1"),
    "ecr:PutImage": ("PUT", "manifests", "v1"),
    "ecr:BatchDeleteImage": ("DELETE", "manifests", "v1"),
    "ecr:ListImages": ("GET", "tags", "list"),
}
Key = Callable[..., str]


@pytest.fixture
def key() -> Iterator[Key]:
    """Make a role that may do these actions; return the access key of its session."""
    iam, sts = iam_backends[ACCOUNT_ID]["aws"], sts_backends[ACCOUNT_ID]["aws"]

    def make(*actions: str, resource: str = ARN) -> str:
        role = iam.create_role("pusher", "{}", "/", None, "", [], "3600")
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        role.policies["own"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return str(sts.assume_role(REGION, "session", role.arn, None, 3600, None).access_key_id)

    yield make
    for role in tuple(iam.get_roles()):
        if role.name == "pusher":
            role.policies.clear()
            iam.delete_role("pusher")


def header(password: str) -> str:
    return f"Basic {base64.b64encode(f'{USER}:{password}'.encode()).decode()}"


@pytest.mark.parametrize("action", REQUESTS)
def test_a_request_needs_its_own_action(key: Key, action: str) -> None:
    method, part, rest = REQUESTS[action]
    may, may_else = (method, NAME, part, rest), [each for each in REQUESTS if each != action]

    found = key(action)
    assert refused_request(found, *may) is None
    assert f"to perform: {action} on resource: " in str(refused_request(found, method, "other", part, rest))
    iam_backends[ACCOUNT_ID]["aws"].get_role("pusher").policies["own"] = json.dumps(
        {"Statement": {"Effect": "Allow", "Action": may_else, "Resource": ARN}}
    )
    assert f"no identity-based policy allows the {action} action" in str(refused_request(found, *may))


def test_a_repositorys_policy_grants_and_denies_without_naming_itself(key: Key) -> None:
    found, backend = key("ecr:PutImage"), ecr_backends[ACCOUNT_ID][REGION]
    repository = backend.create_repository(NAME, None, None, None, "MUTABLE", [], None)
    pull = {"Effect": "Allow", "Principal": "*", "Action": list(PULLS)}
    push = {"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"}
    repository.policy = json.dumps({"Version": "2012-10-17", "Statement": [pull, push]})
    pulled = refused_request(found, "GET", NAME, "manifests", "v1")
    pushed = refused_request(found, "PUT", NAME, "manifests", "v1")
    backend.repositories.pop(NAME)

    assert pulled is None
    assert "with an explicit deny in a resource-based policy" in str(pushed)


def test_a_repository_of_another_account_is_open_to_whom_its_policy_names() -> None:
    there = Place("210987654321", "eu-central-1")
    backend = ecr_backends[there.account][there.region]
    repository = backend.create_repository(NAME, None, None, None, "MUTABLE", [], None)
    pull = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT_ID}, "Action": list(PULLS)}
    administrator = CREDENTIALS["AWS_ACCESS_KEY_ID"]
    closed = refused_request(administrator, "GET", NAME, "manifests", "v1", there)
    repository.policy = json.dumps({"Version": "2012-10-17", "Statement": [pull]})
    opened = refused_request(administrator, "GET", NAME, "manifests", "v1", there)
    own = refused_request(there.account, "GET", NAME, "manifests", "v1", there)
    backend.repositories.pop(NAME)

    assert f"arn:aws:ecr:eu-central-1:210987654321:repository/{NAME} because no resource-based" in str(closed)
    assert opened is None
    assert own is None


def test_a_password_is_that_of_who_asked_for_it() -> None:
    logins = RegistryLogins()
    held = CURRENT_KEY.set("ASIAJOB")
    password = logins.password()
    CURRENT_KEY.reset(held)

    assert logins.key_of(header(password)) == "ASIAJOB"
    assert logins.key_of(header(PASSWORD)) == CREDENTIALS["AWS_ACCESS_KEY_ID"]
    assert logins.password() == PASSWORD, "without a caller it is the administrator's"


@pytest.mark.parametrize(
    "given", ["", "Bearer x", "Basic ???", header("guessed"), "Basic " + base64.b64encode(b"\xff").decode()]
)
def test_a_login_that_is_not_known_is_nobodys(given: str) -> None:
    assert RegistryLogins().key_of(given) is None


def test_the_administrator_may_do_everything() -> None:
    assert refused_request(CREDENTIALS["AWS_ACCESS_KEY_ID"], "PUT", NAME, "manifests", "v1") is None


def test_a_request_without_an_action_is_refused(key: Key) -> None:
    assert "unmapped" in str(refused_request(key(*PUSHES), "PATCH", NAME, "manifests", "v1"))
