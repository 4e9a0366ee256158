"""Comparisons of answers with the golden ones, and the limits for answers to requests that no model expects."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace

from botocore.exceptions import ClientError

import golden
from smoke_tests.client import SUCCESS, Client

SHOWN = 5  # differences in a message
NO_ANSWER = 0  # the container did not answer in time, or broke the connection
BY_THE_CONTAINER = {
    NO_ANSWER,
    502,
    503,
    504,
}  # nginx and the server answer with these, not a program that raises


def difference(case: golden.Case, answer: golden.Answer) -> str | None:
    """Name the first difference between an answer and the golden one; None: they agree.

    SageMaker hides which success the container answered.
    """
    if answer.status == SUCCESS and case.is_answered:
        answer = replace(answer, status=case.expected.status)
    return golden.first_difference(case, answer)


def require_right(case: golden.Case, answer: golden.Answer) -> None:
    """Require that the answer is the golden one; else fail and name the first difference."""
    found = difference(case, answer)
    assert found is None, found


def require_golden(golden_set: golden.GoldenSet, answers: Iterable[tuple[int, golden.Answer]]) -> None:
    """Require that each answer, by the number of its case, is the golden one; else fail and name each difference."""
    found = ((number, difference(golden_set.case(number), answer)) for number, answer in answers)
    labelled = (f"{golden_set.label(number)}: {each}" for number, each in found if each)
    wrong = list(dict.fromkeys(labelled))
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    assert not wrong, "; ".join(wrong[:SHOWN]) + more


def send_unexpected(client: Client, request: golden.Request, record: Callable[[str, object], None]) -> None:
    """Send a request that no model need understand, and require an answer that is not the container's own failure.

    A program may accept anything, refuse it, or raise. As in AWS's inference toolkit an exception is answered with 500:
    a client cannot tell its own mistake from the model's, so that is a warning. SageMaker may refuse the
    request itself.
    """
    try:
        status = client.ask(request).message.status
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise
        return
    assert status != NO_ANSWER, "the container did not answer in time, or broke the connection"
    assert status not in BY_THE_CONTAINER, f"the container failed with {status}"
    if status >= 500:
        warning = f"the model's program answers bad input with {status}: a 4xx would tell the client that it is its own"
        record("warning", warning)
        warnings.warn(f"smoke: {warning}", stacklevel=2)
