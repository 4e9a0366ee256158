"""Gunicorn's settings. `serve` plans them and passes them in the environment (`gunicorn_environ`)."""

import faulthandler
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


_NO_EXIT_CODE = -1


def on_starting(server: Any) -> None:
    """Exclude loaded objects from garbage collection, and block stop signals during a fork.

    Workers then go on sharing the memory, and stop four times as fast. No exit code of a worker ends the
    server: a program may exit with those that gunicorn reads as a failed start (`child_exit` knows of those).
    """
    from serving.http.stop_signals import (
        hold_signals_while_forking,  # importable only once gunicorn has set sys.path
    )
    from serving.http.worker_start import LoadedWorkers

    gc.freeze()
    hold_signals_while_forking()
    server.WORKER_BOOT_ERROR = server.APP_LOAD_ERROR = _NO_EXIT_CODE
    server.loaded = LoadedWorkers(workers, Path(worker_tmp_dir))


def pre_fork(server: Any, worker: Any) -> None:
    """Give the new worker the lowest free index."""
    taken = {other.index for other in server.WORKERS.values()}
    worker.index = next(index for index in range(len(taken) + 1) if index not in taken)
    worker.loaded = server.loaded
    server.loaded.begin(worker.index)


def child_exit(server: Any, worker: Any) -> None:
    """End the server if the worker has ended while it loaded its model."""
    from serving.http.worker_start import worker_ended

    worker_ended(server, worker.index, server.loaded, Path(worker_tmp_dir))


def when_ready(server: Any) -> None:
    """Signal `serve` that the sockets are open, and note who is to answer."""
    from serving.http.service import SERVICE
    from serving.platform.processes import ONE_AT_A_TIME

    if server.app.wsgi().extensions[SERVICE].answers_one_at_a_time:
        Path(worker_tmp_dir, ONE_AT_A_TIME).touch()
    os.kill(os.getppid(), signal.SIGUSR1)


def post_worker_init(worker: Any) -> None:
    """Make the new worker's model ready, or end the whole server."""
    from serving.http import warm_up, worker_start
    from serving.http.service import SERVICE
    from serving.platform import limits, paths

    faulthandler.enable()  # a segmentation fault of a model says where
    service = worker.wsgi.extensions[SERVICE]
    if service.handler.wants_main_thread:
        os.chdir(paths.model_dir(paths.base_dir()))  # as TorchServe: programs open files by relative paths
    service.have_all_loaded = lambda: worker.loaded.have_all
    with worker_start.alive_while_loading(worker, limits.from_environ(os.environ).startup_seconds):
        try:
            sentences = [service.warm_up(), service.decide_batching()]
            warm_up.ask_routes(worker.wsgi)
        except BaseException as error:  # whatever the reason, there is nothing to serve
            worker_start.give_up(worker, error)
    for sentence in filter(None, sentences):
        if worker.index == 0:  # the others find the same
            print(f"serve: {sentence}", file=sys.stderr, flush=True)
