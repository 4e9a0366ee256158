"""Gunicorn's settings. `serve` plans them and passes them in the environment (`gunicorn_environ`)."""

import gc
import os
import signal
from typing import Any

bind = os.environ["SERVE_BIND"]
workers = int(os.environ["SERVE_WORKERS"])
threads = int(os.environ["SERVE_REQUEST_THREADS"])
worker_class = "serving.http.worker.Worker"
preload_app = True  # the weights are loaded once and shared; a model that cannot load stops the start
worker_tmp_dir = os.environ["SERVE_SCRATCH"]
control_socket_disable = True  # it would write into the home directory, which need not exist
timeout = 60  # for a worker whose main loop hangs, not for a request
graceful_timeout = 20
keepalive = 75  # longer than nginx keeps an idle connection, so that nginx is the one to close it
loglevel = "warning"
logger_class = "serving.http.worker.Log"
accesslog = None


def on_starting(_server: Any) -> None:
    """Leave what is loaded out of garbage collection: workers go on sharing it, and stop four times as fast.

    And let no worker miss the signal to stop while it is being born.
    """
    from serving.http.worker import hold_signals_while_forking  # found only once gunicorn has set its path

    gc.freeze()
    hold_signals_while_forking()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the new worker the lowest index that no living one has."""
    taken = {other.index for other in server.WORKERS.values()}
    worker.index = next(index for index in range(len(taken) + 1) if index not in taken)


def when_ready(_server: Any) -> None:
    """Tell `serve` that the model is loaded and the socket is there."""
    os.kill(os.getppid(), signal.SIGUSR1)


def post_worker_init(worker: Any) -> None:
    """Make the new worker's model ready; one that cannot stops the whole server."""
    from serving.http.service import SERVICE
    from serving.platform import limits

    with worker.alive_while_loading(limits.from_environ(os.environ).startup_seconds):
        try:
            worker.wsgi.extensions[SERVICE].handler.warm_up()
        except Exception as error:  # whatever keeps the model from predicting, there is nothing to serve
            worker.give_up(error)
