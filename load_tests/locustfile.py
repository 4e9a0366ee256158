"""Locust users that post golden requests to a SageMaker endpoint, as any boto3 client would: SigV4, no retries.

Headless, driven by a schedule file and recorded into a result file:
    python -m locust -f load_tests/locustfile.py --headless --exit-code-on-error 0 \
        --endpoint NAME --schedule schedule.json --result result.json
With Locust's web page on 127.0.0.1: python -m locust -f load_tests/locustfile.py --endpoint NAME
Signals: USR1 goes to the next phase, TERM and INT end the run; the result is written in any case.
"""

import itertools
import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import boto3
import gevent
import psutil
from botocore.config import Config
from botocore.exceptions import ClientError
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import LocalRunner

from load_tests import fleet
from load_tests.flights import Flights
from load_tests.payloads import Payload, read_payloads
from load_tests.recorder import Recorder
from load_tests.schedule import Schedule, read_schedule
from load_tests.shape import ScheduleShape

GOLDEN = Path(__file__).parent.parent / "container/local_test/opt/ml/model/golden.json"
FINISH_SECONDS = 65  # SageMaker answers within 60 s, or with an error: nothing in flight is forgotten
CONNECTIONS = 1000
NAME_THE_ENDPOINT = "Name the endpoint: --endpoint NAME, or ENDPOINT=NAME in the environment."

# No retries: a retried failure would be counted as one slow success.
CLIENT_CONFIG = Config(
    retries={"total_max_attempts": 1},
    max_pool_connections=CONNECTIONS,
    connect_timeout=5,
    read_timeout=70,
    parameter_validation=False,
)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    parser.set_defaults(web_host="127.0.0.1", stop_timeout=FINISH_SECONDS)
    parser.add_argument("--endpoint", env_var="ENDPOINT", default="", help="name of the SageMaker endpoint")
    parser.add_argument("--payloads", default=str(GOLDEN), help="golden set to send", include_in_web_ui=False)
    parser.add_argument(
        "--check-every", type=int, default=20, help="compare one answer in N with the golden one"
    )
    parser.add_argument("--schedule", default="", help="schedule file", include_in_web_ui=False)
    parser.add_argument("--result", default="", help="where to write the result", include_in_web_ui=False)


class Session:
    """What the users of one run share: client, payloads, recorder and the watch over the fleet."""

    def __init__(self, options: Any) -> None:
        self.endpoint: str = options.endpoint
        self.check_every: int = max(1, options.check_every)
        self.payloads: list[Payload] = read_payloads(Path(options.payloads))
        self.recorder = Recorder()
        self.flights = Flights()
        self.runtime = boto3.client("sagemaker-runtime", config=CLIENT_CONFIG)
        self._control = boto3.client("sagemaker", config=CLIENT_CONFIG)
        self._numbers = itertools.count()

    def describe(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._control.describe_endpoint(EndpointName=self.endpoint)
        return answer

    def send(self) -> int:
        """Send the next golden request; return the length of its answer. Raises whatever went wrong."""
        if not self.endpoint:
            raise ValueError(NAME_THE_ENDPOINT)
        number = next(self._numbers)
        payload = self.payloads[number % len(self.payloads)]
        answer = self.runtime.invoke_endpoint(
            EndpointName=self.endpoint, ContentType=payload.content_type, Body=payload.body
        )
        body: bytes = answer["Body"].read()
        self.recorder.heard(*identity(answer.get("CustomAttributes", "")))
        if number % self.check_every == 0:
            payload.check(body)
        return len(body)


class PredictUser(User):  # type: ignore[misc]
    """Sends one golden request a second, or as its phase says; starts at a random moment of its first interval."""

    session: Session
    shape: ScheduleShape | None = None
    _next_at: float | None = None

    def wait_time(self) -> float:
        """Return the seconds until this user's next request: a fixed interval from start to start.

        An answer that took longer than the interval is followed at once by the next request: what was missed
        is not made up for, and shows as a served rate below the offered.
        """
        between = self.shape.phase.seconds_between if self.shape else 1.0
        now = time.perf_counter()
        if self._next_at is None:
            self._next_at = now + random.uniform(0, between)  # noqa: S311 - not all users at once
        else:
            self._next_at = max(now, self._next_at + between)
        return self._next_at - now

    def on_start(self) -> None:
        self.wait()

    @task  # type: ignore[untyped-decorator]
    def predict(self) -> None:
        self.session.flights.fly(self._predict)

    def _predict(self) -> None:
        at, started, length, failure = time.time(), time.perf_counter(), 0, None
        try:
            length = self.session.send()
        except Exception as error:  # whatever went wrong is counted as this request's failure
            failure = error
        milliseconds = (time.perf_counter() - started) * 1000
        self.session.recorder.record(at, milliseconds, None if failure is None else describe_error(failure))
        self.environment.events.request.fire(
            request_type="invoke",
            name=self.session.endpoint,
            response_time=milliseconds,
            response_length=length,
            exception=failure,
            context={},
        )


def identity(attributes: str) -> tuple[str, str]:
    """Return release and instance from `release=…;instance=…`; "unknown" for what is not said."""
    said = dict(part.split("=", 1) for part in attributes.split(";") if "=" in part)
    return said.get("release", "unknown"), said.get("instance", "unknown")


def describe_error(error: Exception) -> str:
    """Return a sentence that is the same for all errors of one kind, so that they can be counted."""
    if not isinstance(error, ClientError):
        return f"{type(error).__name__}: {error}"[:300]
    said = error.response
    status = said.get("OriginalStatusCode", said["ResponseMetadata"]["HTTPStatusCode"])
    message = said.get("OriginalMessage") or said["Error"].get("Message", "")
    return f"{said['Error']['Code']} {status}: {message}"[:300]


@events.init.add_listener  # type: ignore[untyped-decorator]
def _prepare(environment: Environment, **_: Any) -> None:
    """Follow the schedule, if there is one, and write the result when Locust has quit."""
    options = environment.parsed_options
    if options.headless and not options.endpoint:
        raise SystemExit(NAME_THE_ENDPOINT)
    if options.schedule and not isinstance(environment.runner, LocalRunner):
        raise SystemExit("A schedule drives one process: leave out --master, --worker and --processes.")
    if options.result and not options.schedule:
        raise SystemExit("--result records the phases of a schedule: add --schedule FILE.")
    if options.schedule:
        _follow(environment, read_schedule(Path(options.schedule)))
    else:
        environment.events.test_start.add_listener(_begin_unscheduled)


def _begin_unscheduled(environment: Environment, **_: Any) -> None:
    """Begin a run whose users and rate a person sets; the endpoint may have been typed into the web page."""
    PredictUser.session = Session(environment.parsed_options)


def _follow(environment: Environment, schedule: Schedule) -> None:
    session = PredictUser.session = Session(environment.parsed_options)
    process = psutil.Process()
    shape = ScheduleShape(schedule, session.recorder, lambda: sum(process.cpu_times()[:2]))
    shape.runner = environment.runner
    environment.shape_class = PredictUser.shape = shape
    watcher = gevent.spawn(fleet.watch, session.describe, session.recorder.fleet)
    gevent.signal_handler(signal.SIGUSR1, shape.skip)
    if environment.parsed_options.headless:  # while a shape runs, Locust itself would die of SIGTERM
        gevent.signal_handler(signal.SIGTERM, shape.stop)
        gevent.signal_handler(signal.SIGINT, shape.stop)

    def write_result(**_: Any) -> None:
        watcher.kill()
        if path := environment.parsed_options.result:
            Path(path).write_text(json.dumps(session.recorder.result(session.endpoint)))

    environment.events.test_stopping.add_listener(lambda **_: shape.end_phase())
    environment.events.test_stop.add_listener(lambda **_: session.flights.land(FINISH_SECONDS))
    environment.events.quit.add_listener(write_result)  # by then the last answer is in
