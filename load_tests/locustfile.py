"""Locust users that post signed requests to a SageMaker endpoint, each request once.

Headless, driven by a schedule file and recorded into a result file (open loop: requests start when they are due):
    python -m locust -f load_tests/locustfile.py --headless --exit-code-on-error 0 \
        --endpoint NAME --schedule schedule.json --result result.json
Several processes: add --processes N. Several hosts: --master --expect-workers N on one of them, --worker
--master-host HOST on the others, all else the same.
With Locust's web page on 127.0.0.1 (closed loop): python -m locust -f load_tests/locustfile.py --endpoint NAME
Signals: USR1 goes on to the next phase, TERM and INT end the run; the result is written in each case.
"""

import random
from pathlib import Path
from typing import Any

from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import WorkerRunner

from load_tests import scaling_page
from load_tests.arrivals import Arrivals
from load_tests.console import log_to_stdout
from load_tests.payloads import JSON, PayloadError
from load_tests.release_counter import ReleaseCounter
from load_tests.scaling_history import ScalingHistory
from load_tests.schedule import Schedule, ScheduleError, read_schedule
from load_tests.schedule_runner import FINISH_SECONDS, run_schedule
from load_tests.schedule_shape import ScheduleShape
from load_tests.session import NAME_THE_ENDPOINT, Session
from load_tests.shapes import named_schedule
from load_tests.timing import now

MODEL = Path(__file__).parent.parent / "container/local_test/opt/ml/model"  # its golden set


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: LocustArgumentParser) -> None:
    parser.set_defaults(web_host="127.0.0.1", stop_timeout=FINISH_SECONDS)
    parser.add_argument("--endpoint", env_var="ENDPOINT", default="", help="name of the SageMaker endpoint")
    parser.add_argument(
        "--payloads", default=str(MODEL), include_in_web_ui=False,
        help="what to send: a golden set (.jsonl, .json, or its folder), another file with a body on each line, or FILE.py:FUNCTION",
    )  # fmt: skip
    parser.add_argument("--content-type", default=JSON, help="of bodies that name none of their own")
    parser.add_argument(
        "--against",
        default="",
        help="a second endpoint: each gets every other request",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--check-every", type=int, default=20, help="compare one answer in N with the golden one (0: none)"
    )
    parser.add_argument("--schedule", default="", help="schedule file", include_in_web_ui=False)
    parser.add_argument(
        "--shape", default="", help="shape of config/shapes, by name", include_in_web_ui=False
    )
    parser.add_argument("--times-rate", type=float, default=1.0, help="multiplies the shape's rates")
    parser.add_argument("--times-seconds", type=float, default=1.0, help="multiplies the shape's seconds")
    parser.add_argument(
        "--minutes", type=float, help="how long the shape is to take instead", include_in_web_ui=False
    )
    parser.add_argument("--result", default="", help="where to write the result", include_in_web_ui=False)


class PredictUser(User):  # type: ignore[misc]
    """Closed loop: sends one request a second, and waits for each answer before the next.

    It begins at a random moment of its first second. After an answer that took longer than a second the next
    request follows at once: missed requests are not made up for, and the rate falls below one a second.
    """

    session: Session
    _next_at: float | None = None

    def wait_time(self) -> float:
        if self._next_at is None:
            self._next_at = now() + random.uniform(0, 1)  # noqa: S311 - not all users at once
        else:
            self._next_at = max(now(), self._next_at + 1)
        return self._next_at - now()

    def on_start(self) -> None:
        self.wait()

    @task  # type: ignore[untyped-decorator]
    def predict(self) -> None:
        self.session.start(now()).join()


class ArrivalsUser(User):  # type: ignore[misc]
    """Open loop: one user that starts every request of the schedule when it is due."""

    session: Session
    arrivals: Arrivals

    @task  # type: ignore[untyped-decorator]
    def offer(self) -> None:
        self.arrivals.offer(self.session.start)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _prepare(environment: Environment, **_: Any) -> None:
    """Configure the run: a schedule if one is named, else users that a person steers."""
    log_to_stdout()
    options = environment.parsed_options
    if options.headless and not options.endpoint:
        raise SystemExit(NAME_THE_ENDPOINT)
    schedule = _schedule(options)
    if options.result and not schedule:
        raise SystemExit("--result records the phases of a schedule: add --schedule FILE or --shape NAME.")
    if schedule:
        environment.user_classes[:] = [ArrivalsUser]
        _use_schedule(environment, schedule)
    else:
        environment.user_classes[:] = [PredictUser]
        environment.events.test_start.add_listener(_begin_unscheduled)
    _show_scaling(environment)


def _use_schedule(environment: Environment, schedule: Schedule) -> None:
    try:
        ArrivalsUser.session = Session(environment.parsed_options, environment.events.request.fire)
    except PayloadError as error:
        raise SystemExit(str(error)) from error
    ArrivalsUser.arrivals = run_schedule(environment, schedule, ArrivalsUser.session)


def _show_scaling(environment: Environment) -> None:
    """Add the Scaling page to Locust's web page; a worker, which has none, reports its answers by release."""
    if environment.web_ui is None:
        if isinstance(environment.runner, WorkerRunner):
            ReleaseCounter(environment)
        return

    def offered() -> float:
        shape = environment.shape_class
        if isinstance(shape, ScheduleShape):
            return shape.phase.offered
        return float(environment.runner.user_count)  # each sends once a second

    recording = scaling_page.add(environment.web_ui, ScalingHistory(environment, offered))
    environment.events.quit.add_listener(lambda **_: recording.kill())


def _schedule(options: Any) -> Schedule | None:
    """Return the schedule of --schedule or --shape; None for a run that a person steers."""
    try:
        if options.schedule:
            return read_schedule(Path(options.schedule))
        if options.shape:
            times = {"times_rate": options.times_rate, "times_seconds": options.times_seconds}
            return named_schedule(options.shape, **times, minutes=options.minutes)
    except ScheduleError as error:
        raise SystemExit(str(error)) from error
    return None


def _begin_unscheduled(environment: Environment, **_: Any) -> None:
    """Make the session of a run without a schedule; the endpoint may come from the web page."""
    PredictUser.session = Session(environment.parsed_options, environment.events.request.fire)
