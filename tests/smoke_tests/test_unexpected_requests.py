"""Answers to requests that no model need understand: which are failures of the container, and which of its program."""

import warnings
from typing import cast

import pytest
from botocore.exceptions import ClientError

from golden import Answer, Request
from smoke_tests.client import Client, Reply
from smoke_tests.expectations import send_unexpected


class AnsweringClient:
    """A client whose container, or SageMaker itself, answers everything with one status."""

    def __init__(self, status: int, *, by_sagemaker: bool = False) -> None:
        self.status, self.by_sagemaker = status, by_sagemaker

    def ask(self, _request: Request) -> Reply:
        if self.by_sagemaker:
            metadata = {"HTTPStatusCode": self.status}
            raise ClientError({"Error": {"Code": "any"}, "ResponseMetadata": metadata}, "InvokeEndpoint")
        return Reply(Answer(self.status, "", b""))


def send(client: AnsweringClient) -> list[str]:
    """Return the recorded warnings."""
    recorded: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        send_unexpected(cast(Client, client), Request(b""), lambda _, value: recorded.append(str(value)))
    return recorded


@pytest.mark.parametrize("status", [200, 400, 415, 422])
def test_an_answer_or_a_refusal_is_right(status: int) -> None:
    assert send(AnsweringClient(status)) == []


def test_an_exception_of_the_program_is_a_warning() -> None:
    (warning,) = send(AnsweringClient(500))

    assert "answers bad input with 500" in warning


@pytest.mark.parametrize(
    ("status", "reason"), [(0, "did not answer in time"), (502, "502"), (503, "503"), (504, "504")]
)
def test_a_failure_of_the_container_is_one(status: int, reason: str) -> None:
    with pytest.raises(AssertionError, match=f"the container .*{reason}"):
        send(AnsweringClient(status))


def test_a_refusal_by_sagemaker_is_right_and_its_own_failure_is_none() -> None:
    assert send(AnsweringClient(400, by_sagemaker=True)) == []
    with pytest.raises(ClientError):
        send(AnsweringClient(500, by_sagemaker=True))
