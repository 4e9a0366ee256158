"""Gunicorn's settings. `serve` plans them and passes them in the environment (`gunicorn_environ`)."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

bind = os.environ["SERVE_BIND"].split(",")
workers = int(os.environ["SERVE_WORKERS"])
threads = int(os.environ["SERVE_REQUEST_THREADS"])
worker_class = "serving.http.worker.Worker"
preload_app = True  # load the weights once for all workers; a model that cannot load ends the start
worker_tmp_dir = os.environ["SERVE_SCRATCH"]
control_socket_disable = True  # it would write into the home directory, which may not exist
timeout = 60  # of a worker's main loop, not of a request
graceful_timeout = 20
keepalive = 75  # longer than nginx keeps an idle connection, so that nginx closes it
loglevel = "warning"
logger_class = "serving.http.gunicorn_log.Log"
accesslog = None


def on_starting(_server: Any) -> None:
    """Exclude loaded objects from garbage collection, and block stop signals during a fork.

    Workers then go on sharing the memory, and stop four times as fast.
    """
    from serving.http.stop_signals import (
        hold_signals_while_forking,  # importable only once gunicorn has set sys.path
    )

    gc.freeze()
    hold_signals_while_forking()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the new worker the lowest free index."""
    taken = {other.index for other in server.WORKERS.values()}
    worker.index = next(index for index in range(len(taken) + 1) if index not in taken)


def when_ready(server: Any) -> None:
    """Signal `serve` that the model is loaded and the sockets are open, and note who is to answer."""
    from serving.http.service import SERVICE
    from serving.platform.processes import ONE_AT_A_TIME

    if server.app.wsgi().extensions[SERVICE].answers_one_at_a_time:
        Path(worker_tmp_dir, ONE_AT_A_TIME).touch()
    os.kill(os.getppid(), signal.SIGUSR1)


def post_worker_init(worker: Any) -> None:
    """Make the new worker's model ready, or end the whole server."""
    from serving.http.service import SERVICE
    from serving.platform import limits

    service = worker.wsgi.extensions[SERVICE]
    with worker.alive_while_loading(limits.from_environ(os.environ).startup_seconds):
        try:
            sentences = [service.warm_up(), service.decide_batching()]
        except Exception as error:  # whatever the reason, there is nothing to serve
            worker.give_up(error)
    for sentence in filter(None, sentences):
        if worker.index == 0:  # the others find the same
            print(f"serve: {sentence}", file=sys.stderr, flush=True)
