"""The steps from a request to its answer, shared by Flask and the batch server."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response

from serving.handlers import batch_check
from serving.handlers.context import Call
from serving.handlers.errors import BadRequest, HandlerFailed, RefusedInput
from serving.handlers.golden_cases import GoldenCases
from serving.handlers.handler import Answer, Handler
from serving.http.counters import Counters
from serving.http.in_flight import InFlightTimer
from serving.http.invocation import Invocation
from serving.http.request_log import RequestLog
from serving.platform.identity import HEADER, Identity
from serving.platform.limits import Limits

if TYPE_CHECKING:
    from serving.http.program_thread import ProgramThread

T = TypeVar("T")
SERVICE = "service"  # its name among app.extensions
_PROBE_SECONDS = 0.5  # of the thread that answers requests, or reports that the worker is alive


@dataclass(frozen=True)
class Steps:
    """The three functions of `predictor.py`; each gets the handler first."""

    decode: Callable[[Handler, bytes, str], Any]
    predict: Callable[[Handler, Any], Any]
    encode: Callable[[Handler, Any, str], Answer]


@dataclass
class Service:
    """A handler, the steps that use it, and what is counted, timed and logged about them."""

    handler: Handler
    steps: Steps
    identity: Identity
    limits: Limits
    log: RequestLog
    counters: Counters = field(default_factory=Counters)
    in_flight: InFlightTimer = field(default_factory=InFlightTimer)
    program_thread: "ProgramThread | None" = None  # for a handler that wants the main thread, in a worker
    on_stream: Callable[[socket.socket | None], None] = lambda _peer: None  # when an answer's parts begin
    check_golden: Callable[[float], str] = lambda _seconds: ""  # answer the archive's golden cases
    answers_golden: Callable[[], bool] = lambda: False  # whether the model answers a golden case as it must
    golden_cases: GoldenCases | None = None
    have_all_loaded: Callable[[], bool] = lambda: True  # whether every worker has had its model ready once
    is_ready: bool = False  # True once this process's model has passed `warm_up`
    _is_recording: bool = True
    is_fit: bool = True  # False while the model fails to answer its golden cases

    @property
    def answers_one_at_a_time(self) -> bool:
        """True for a program that does not ask for batching."""
        return self.handler.wants_main_thread and self.handler.batching is None

    def begin(self, call: Call) -> None:
        self.handler.begin(call)

    def negotiate(self, accept: str) -> str:
        return self.handler.negotiate(accept)

    def decode(self, body: bytes, content_type: str) -> Any:
        """Run the decode step; raise RequestEntityTooLarge for a body over the limit."""
        if len(body) > self.limits.payload_bytes:
            raise RequestEntityTooLarge
        return self.steps.decode(self.handler, body, content_type)

    def predict(self, data: Any) -> Any:
        """Run the predict step; after an unexpected error, probe whether the model still works.

        An input that a model refuses is the caller's fault (BadRequest) while the model answers a golden case.
        """
        try:
            return self.steps.predict(self.handler, data)
        except RefusedInput as error:
            if self.answers_golden():
                raise BadRequest(error.refusal) from error
            raise
        except (BadRequest, HandlerFailed, HTTPException):
            raise
        except Exception:  # an engine may raise anything: was it the request, or is it the model?
            self.probe()
            raise

    def encode(self, prediction: Any, accept: str) -> Answer:
        return self.steps.encode(self.handler, prediction, accept)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the handler's lock, and time how long."""
        with self.handler.lock, self.in_flight.running():
            yield

    def run(self, function: Callable[[], T], call: Call) -> T:
        """Run a function for a request that is being answered, in its turn."""
        if self.program_thread is not None:
            return self.program_thread.call(function, call)
        with self.at_work():
            self.handler.begin(call)
            return function()

    @contextlib.contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Neither count nor log the invocations of the block, which are the server's own."""
        self._is_recording = False
        try:
            yield
        finally:
            self._is_recording = True

    def record(self, invocation: Invocation) -> None:
        """Count and log an invocation that has ended."""
        if not self._is_recording:
            return
        invocation.end()
        self.counters.count(invocation)
        self.log.record(invocation)

    def identify(self, response: Response) -> Response:
        """Name release and instance in an answer, after the custom attributes of the program's own."""
        response.headers[HEADER] = self.identity.beside(response.headers.get(HEADER))
        return response

    def decide_batching(self) -> str | None:
        """Turn batching on if the golden requests are answered the same in batches; return what to log.

        None: there is nothing to decide. Call it on the program's thread, once `warm_up` has returned.
        """
        if self.handler.batching is None:
            return None
        refusal = self.handler.refusal_to_join()
        decision = (
            batch_check.off(refusal)
            if refusal
            else batch_check.decide(self, self.handler.batching, self.golden_cases)
        )
        self.handler.joining = decision.joining
        return decision.sentence

    def warm_up(self) -> str:
        """Make the model ready and let it answer its golden cases; return what a log has to say of them.

        Raises CannotLoad, and WrongAnswers for an answer that is not the golden one.
        """
        self.handler.warm_up()
        remarks = self.check_golden(self.limits.golden_seconds)
        self.is_ready = True
        return remarks

    def probe(self) -> None:
        """Ask golden cases for a moment, and set `is_fit`, which /ping reports, by the outcome."""
        try:
            self.handler.warm_up()
            self.check_golden(_PROBE_SECONDS)
        except Exception:  # whatever the reason, SageMaker must not send traffic
            self.is_fit = False
        else:
            self.is_fit = True
        self.counters.set_fit(self.is_fit)
