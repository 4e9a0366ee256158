"""The make_client to AWS: what is worth a second try, what means "no such thing", and what a person must do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from typing_extensions import override

from pipeline.aws import AwsClient, Call
from pipeline.config import Environment
from pipeline.errors import AwsRefused, AwsUnreachable
from tests.pipeline.clocks import FakeClock

CALL = Call("sagemaker", "create_endpoint", {"EndpointName": "e"}, "create endpoint e")


def refused(code: str, message: str, status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "CreateEndpoint")


THROTTLED = refused("ThrottlingException", "Rate exceeded")
BROKEN = refused("InternalFailure", "Request to service failed.", status=500)
NO_NETWORK = EndpointConnectionError(endpoint_url="https://sagemaker")


@dataclass
class Client:
    """Fails with each of `failures` in turn, then answers."""

    failures: list[Exception] = field(default_factory=list)
    calls: int = 0

    def create_endpoint(self, **_: Any) -> dict[str, Any]:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return {"EndpointArn": "arn"}


@dataclass
class Given(AwsClient):
    """The client, on a boto3 client that is given."""

    client: Any = None

    @override
    def make_client(self, service: str) -> Any:
        return self.client


@pytest.fixture
def make_client(env: Environment) -> Callable[..., tuple[AwsClient, Client, list[float]]]:
    def make(*failures: Exception) -> tuple[AwsClient, Client, list[float]]:
        client, clock = Client(list(failures)), FakeClock()
        return Given(env.aws, clock, client=client), client, clock.slept

    return make


Make = Callable[..., tuple[AwsClient, Client, list[float]]]


def test_a_write_is_remembered_by_its_sentence(make_client: Make) -> None:
    aws, _, _ = make_client()

    assert aws.apply(CALL) == {"EndpointArn": "arn"}
    assert aws.made == ["create endpoint e"]


def test_a_config_that_aws_does_not_know_everywhere_yet_is_tried_again(make_client: Make) -> None:
    """Reads are eventually consistent: CreateEndpoint may not see the config made a second ago."""
    unknown = refused("ValidationException", 'Could not find endpoint configuration "arn".')
    aws, client, slept = make_client(unknown, unknown)
    aws.apply(CALL)

    assert (client.calls, slept) == (3, [2.0, 2.0])


def test_the_patience_with_unknown_names_ends(make_client: Make) -> None:
    unknown = refused("ValidationException", 'Could not find model "arn".')
    aws, client, _ = make_client(*[unknown] * 20)

    with pytest.raises(AwsRefused, match="Could not find model"):
        aws.apply(CALL)
    assert client.calls == 6
    assert aws.made == []


def test_a_model_that_exists_already_is_the_one_that_was_wanted(make_client: Make) -> None:
    """Its name is its content: a second runner was faster."""
    aws, _, _ = make_client(refused("ValidationException", 'Cannot create already existing model "arn".'))

    assert aws.apply(CALL) == {}
    assert aws.made == []


def test_another_refusal_is_not_tried_again(make_client: Make) -> None:
    aws, client, _ = make_client(refused("ResourceLimitExceeded", "The account-level service limit …"))

    with pytest.raises(AwsRefused, match="sagemaker create_endpoint: ResourceLimitExceeded"):
        aws.apply(CALL)
    assert client.calls == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("404", "Not Found"),
        ("NoSuchKey", "The specified key does not exist."),
        ("NoSuchEntity", "The role with name x cannot be found."),
        ("ValidationException", 'Could not find endpoint "arn".'),
        ("ValidationException", "ModelPackageGroup arn does not exist."),
        ("ImageNotFoundException", "The image with imageId {…} does not exist within the repository"),
        ("RepositoryNotFoundException", "The repository with name 'x' does not exist"),
    ],
)
def test_what_is_not_there_is_none(make_client: Make, code: str, message: str) -> None:
    aws, _, _ = make_client(refused(code, message))

    assert aws.find("sagemaker", "create_endpoint") is None


@pytest.mark.parametrize("code", ["ValidationException", "AccessDenied", "403"])
def test_other_refusals_are_not_taken_for_absence(make_client: Make, code: str) -> None:
    """A resource that may not be read is not taken for missing: it would be made a second time."""
    aws, _, _ = make_client(refused(code, "not yours"))

    with pytest.raises(AwsRefused, match=code):
        aws.find("sagemaker", "create_endpoint")


@pytest.mark.parametrize("failure", [THROTTLED, BROKEN, NO_NETWORK])
def test_what_passes_within_a_minute_is_waited_for(make_client: Make, failure: Exception) -> None:
    """Each of these failures is of all six tries of boto3."""
    aws, client, slept = make_client()
    aws.apply(CALL)
    client.failures = [failure] * 15
    aws.apply(CALL)

    assert sum(slept) == 30.0


@pytest.mark.parametrize(
    ("failure", "error"), [(THROTTLED, AwsRefused), (BROKEN, AwsRefused), (NO_NETWORK, AwsUnreachable)]
)
def test_what_does_not_pass_within_a_minute_is_told(
    make_client: Make, failure: Exception, error: type[Exception]
) -> None:
    aws, client, slept = make_client()
    aws.apply(CALL)
    client.failures = [failure] * 100

    with pytest.raises(error):
        aws.apply(CALL)
    assert 60.0 < sum(slept) < 70.0


def test_a_network_that_was_never_there_is_told_at_once(make_client: Make) -> None:
    aws, client, slept = make_client(NO_NETWORK)

    with pytest.raises(AwsUnreachable):
        aws.apply(CALL)
    assert (client.calls, slept) == (1, [])


def test_what_is_to_be_deleted_and_is_gone_is_deleted(make_client: Make) -> None:
    """The first try did it, and its answer was lost."""
    aws, client, _ = make_client(refused("ValidationException", 'Could not find endpoint "arn".'))
    client.delete_endpoint = client.create_endpoint  # type: ignore[attr-defined]

    assert aws.apply(Call("sagemaker", "delete_endpoint", {}, "delete endpoint e")) == {}
    assert aws.made == []


@pytest.mark.parametrize(
    "failure",
    [
        NoCredentialsError(),
        EndpointConnectionError(endpoint_url="https://nowhere"),
        refused("ExpiredTokenException", "The security token included in the request is expired"),
    ],
)
def test_no_answer_and_no_credentials_have_their_own_error(make_client: Make, failure: Exception) -> None:
    aws, _, _ = make_client(failure)

    with pytest.raises(AwsUnreachable, match="credentials"):
        aws.apply(CALL)


def test_a_missing_permission_is_named_as_the_fix(make_client: Make) -> None:
    aws, _, _ = make_client(
        refused("AccessDeniedException", "not authorized to perform: sagemaker:CreateEndpoint")
    )

    with pytest.raises(AwsRefused, match="Give the role of these credentials the permission"):
        aws.apply(CALL)


@pytest.mark.parametrize(("service", "attempts"), [("sagemaker-runtime", 1), ("sagemaker", 6)])
def test_an_invocation_is_never_repeated_and_every_wait_is_bounded(
    moto: str, env: Environment, service: str, attempts: int
) -> None:
    config = AwsClient(env.aws).make_client(service).meta.config

    assert config.retries["total_max_attempts"] == attempts
    assert config.connect_timeout == 10
    assert config.read_timeout == 70
