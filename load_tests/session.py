"""The state that the users of one run share: connections, payloads, recorder and pending requests."""

import itertools
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import boto3
import gevent
from botocore.config import Config

from load_tests.payloads import Payload, open_source
from load_tests.pending_requests import PendingRequests
from load_tests.recorder import Recorder
from load_tests.runtime import Answer, Refused, Runtime
from load_tests.timing import now

NAME_THE_ENDPOINT = "Name the endpoint: --endpoint NAME, or ENDPOINT=NAME in the environment."
CONTROL_PLANE = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)


class Session:
    """One run against an endpoint, or against two that are compared (`options.against`).

    `options`: the parsed command line of locustfile.py; `fire`: Locust's request event.
    """

    def __init__(self, options: Any, fire: Callable[..., None]) -> None:
        if not options.endpoint:
            raise ValueError(NAME_THE_ENDPOINT)
        self.endpoint: str = options.endpoint
        self.recorder = Recorder()
        self.pending = PendingRequests()
        self._check_every: int = max(0, options.check_every)
        source = open_source(options.payloads, options.content_type)
        self.note = source.note
        self._payloads = _make_first_now(source.payloads)
        self.against: str = options.against
        self._runtimes = [Runtime(each) for each in (self.endpoint, self.against) if each]
        self._sides = random_sides(random.Random(), len(self._runtimes))  # noqa: S311 - an order, no secret
        self._sagemaker = boto3.client("sagemaker", config=CONTROL_PLANE)
        self._fire = fire

    def describe(self) -> dict[str, Any]:
        """Call DescribeEndpoint."""
        answer: dict[str, Any] = self._sagemaker.describe_endpoint(EndpointName=self.endpoint)
        return answer

    def start(self, intended: float) -> gevent.Greenlet:
        """Begin the request that was due at `intended` (epoch s) and return at once."""
        return self.pending.start(partial(self._request, intended))

    def _request(self, intended: float) -> None:
        """Send one request; record its latency from the intended start, as a client would have waited."""
        began, answer, failure, side = now(), None, None, next(self._sides)
        try:
            answer = self._send(side)
        except Exception as error:  # any error is counted as this request's failure
            failure = error
        milliseconds = (now() - intended) * 1000
        sentence = None if failure is None else describe_error(failure)
        self.recorder.record(intended, milliseconds, sentence, lag_ms=(began - intended) * 1000, side=side)
        self._fire(
            request_type="invoke",
            name=self.against if side else self.endpoint,
            response_time=milliseconds,
            response_length=len(answer.body) if answer else 0,
            exception=failure,
            context={} if answer is None else {"release": answer.release},
        )

    def _send(self, side: int) -> Answer:
        """Send the next payload, and compare one in `check_every` of its answers with the golden one.

        The golden answers are the candidate's (side 0): the endpoint that it is compared with may serve another
        model. Raises the error of the request, or WrongAnswerError.
        """
        payload = next(self._payloads)
        answer = self._runtimes[side].invoke(payload)
        self.recorder.count_answer(answer.release, answer.instance, at=now())
        if side == 0 and payload.is_due(self._check_every):
            payload.check(answer.content_type, answer.body)
        return answer


def random_sides(chance: random.Random, sides: int) -> Iterator[int]:
    """Yield the side of each request, without end: each side once in every round, in random order."""
    while True:
        yield from chance.sample(range(sides), sides)


def _make_first_now(source: Iterator[Payload]) -> Iterator[Payload]:
    """Make the first payload at once, so that a broken source is reported before the load begins."""
    return itertools.chain([next(source)], source)


def describe_error(error: Exception) -> str:
    """Return a sentence that is the same for all errors of one kind, so that they can be counted."""
    return str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"[:300]
