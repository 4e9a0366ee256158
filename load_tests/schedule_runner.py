"""A run that follows a schedule: in one process, as the master of workers, or as one of the workers."""

import json
import logging
import signal
from pathlib import Path

import gevent
import psutil
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from load_tests import fleet
from load_tests.arrivals import Arrivals
from load_tests.generators import Generator, LocalGenerator, MasterGenerator, WorkerGenerator
from load_tests.schedule import Schedule
from load_tests.schedule_shape import ScheduleShape
from load_tests.session import Session

log = logging.getLogger(__name__)

FINISH_SECONDS = 75  # longer than any answer may take, so that no pending request is lost


def run_schedule(environment: Environment, schedule: Schedule, session: Session) -> Arrivals:
    """Make Locust follow the schedule; return the arrivals that its user offers.

    A worker follows its master. Every other process leads, and writes the result when Locust has quit.
    """
    arrivals, process, runner = Arrivals(), psutil.Process(), environment.runner

    def cpu_seconds() -> float:
        return float(sum(process.cpu_times()[:2]))

    recorder, pending = session.recorder, session.pending
    if isinstance(runner, WorkerRunner):
        WorkerGenerator(runner, schedule, recorder, arrivals, pending, cpu_seconds, FINISH_SECONDS)
    elif isinstance(runner, MasterRunner):
        _lead(environment, schedule, session, MasterGenerator(runner, recorder, FINISH_SECONDS))
    else:
        _lead(environment, schedule, session, LocalGenerator(schedule, recorder, arrivals, cpu_seconds))
    environment.events.test_stop.add_listener(lambda **_: pending.join(FINISH_SECONDS))
    return arrivals


def _lead(environment: Environment, schedule: Schedule, session: Session, generator: Generator) -> None:
    if session.note:
        log.info(session.note)
    session.recorder.slo_ms = schedule.slo.p99_ms if schedule.slo else None
    shape = ScheduleShape(schedule, session.recorder, generator)
    shape.runner = environment.runner
    environment.shape_class = shape
    poller = gevent.spawn(fleet.poll, session.describe, session.recorder.fleet)
    gevent.signal_handler(signal.SIGUSR1, shape.skip)
    if environment.parsed_options.headless:  # while a shape runs, Locust itself would die of SIGTERM
        gevent.signal_handler(signal.SIGTERM, shape.stop)
        gevent.signal_handler(signal.SIGINT, shape.stop)

    def write_result(**_: object) -> None:
        poller.kill()
        if path := environment.parsed_options.result:
            result = session.recorder.result(session.endpoint, session.against, session.note)
            Path(path).write_text(json.dumps(result))

    environment.events.test_stopping.add_listener(lambda **_: shape.end_phase())
    environment.events.quit.add_listener(write_result)  # by then the last answer is in
