"""A run that follows a schedule: alone, as the master of workers, or as one of them."""

import json
import signal
from pathlib import Path
from typing import Any

import gevent
import psutil
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from load_tests import fleet
from load_tests.arrivals import Arrivals
from load_tests.generators import Crew, Generators, OneGenerator, Worker
from load_tests.schedule import Schedule
from load_tests.session import Session
from load_tests.shape import ScheduleShape

FINISH_SECONDS = 75  # longer than any answer may take: nothing in flight is forgotten


def follow(environment: Environment, schedule: Schedule, session: Session) -> Arrivals:
    """Have Locust follow the schedule; return what its user is to offer.

    A worker does as its master says. Everyone else leads, and writes the result when Locust has quit.
    """
    arrivals, process = Arrivals(), psutil.Process()

    def cpu_seconds() -> float:
        return float(sum(process.cpu_times()[:2]))

    if isinstance(environment.runner, WorkerRunner):
        Worker(
            environment.runner,
            schedule,
            session.recorder,
            arrivals,
            session.flights,
            cpu_seconds,
            FINISH_SECONDS,
        )
    elif isinstance(environment.runner, MasterRunner):
        _lead(environment, schedule, session, Crew(environment.runner, session.recorder, FINISH_SECONDS))
    else:
        _lead(environment, schedule, session, OneGenerator(schedule, session.recorder, arrivals, cpu_seconds))
    environment.events.test_stop.add_listener(lambda **_: session.flights.land(FINISH_SECONDS))
    return arrivals


def _lead(environment: Environment, schedule: Schedule, session: Session, generators: Generators) -> None:
    session.recorder.limit_ms = schedule.slo.p99_ms if schedule.slo else None
    shape = ScheduleShape(schedule, session.recorder, generators)
    shape.runner = environment.runner
    environment.shape_class = shape
    watcher = gevent.spawn(fleet.watch, session.describe, session.recorder.fleet)
    gevent.signal_handler(signal.SIGUSR1, shape.skip)
    if environment.parsed_options.headless:  # while a shape runs, Locust itself would die of SIGTERM
        gevent.signal_handler(signal.SIGTERM, shape.stop)
        gevent.signal_handler(signal.SIGINT, shape.stop)

    def write_result(**_: Any) -> None:
        watcher.kill()
        if path := environment.parsed_options.result:
            result = session.recorder.result(session.endpoint, session.against)
            Path(path).write_text(json.dumps(result))

    environment.events.test_stopping.add_listener(lambda **_: shape.end_phase())
    environment.events.quit.add_listener(write_result)  # by then the last answer is in
