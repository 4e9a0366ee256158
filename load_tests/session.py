"""What one run sends, and what it keeps of each request."""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import gevent
from botocore.config import Config

from load_tests.flights import Flights
from load_tests.payloads import Payload, read_payloads
from load_tests.recorder import Recorder
from load_tests.runtime import Answer, Refused, Runtime
from load_tests.timing import now

NAME_THE_ENDPOINT = "Name the endpoint: --endpoint NAME, or ENDPOINT=NAME in the environment."
CONTROL = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)


class Session:
    """What the users of one run share: connections, payloads, recorder and requests under way."""

    def __init__(self, options: Any, fire: Callable[..., None]) -> None:
        if not options.endpoint:
            raise ValueError(NAME_THE_ENDPOINT)
        self.endpoint: str = options.endpoint
        self.recorder = Recorder()
        self.flights = Flights()
        self._check_every: int = max(1, options.check_every)
        self._payloads: list[Payload] = read_payloads(Path(options.payloads))
        self._runtime = Runtime(self.endpoint)
        self._control = boto3.client("sagemaker", config=CONTROL)
        self._numbers = itertools.count()
        self._fire = fire

    def describe(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._control.describe_endpoint(EndpointName=self.endpoint)
        return answer

    def start(self, intended: float) -> gevent.Greenlet:
        """Begin the request that was due at `intended` (epoch s) and return at once."""
        return self.flights.start(partial(self._request, intended))

    def _request(self, intended: float) -> None:
        """Send, and record from the intended start: what a client would have waited."""
        began, answer, failure = now(), None, None
        try:
            answer = self._send()
        except Exception as error:  # whatever went wrong is counted as this request's failure
            failure = error
        milliseconds = (now() - intended) * 1000
        sentence = None if failure is None else describe_error(failure)
        self.recorder.record(intended, milliseconds, sentence, lag_ms=(began - intended) * 1000)
        self._fire(
            request_type="invoke",
            name=self.endpoint,
            response_time=milliseconds,
            response_length=len(answer.body) if answer else 0,
            exception=failure,
            context={} if answer is None else {"release": answer.release},
        )

    def _send(self) -> Answer:
        """Send the next golden request, and compare its answer if it is its turn. Raises what went wrong."""
        number = next(self._numbers)
        payload = self._payloads[number % len(self._payloads)]
        answer = self._runtime.invoke(payload)
        self.recorder.heard(answer.release, answer.instance, at=now())
        if number % self._check_every == 0:
            payload.check(answer.body)
        return answer


def describe_error(error: Exception) -> str:
    """Return a sentence that is the same for all errors of one kind, so that they can be counted."""
    return str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"[:300]
