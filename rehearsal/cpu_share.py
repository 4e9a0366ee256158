"""Choose the CPU that each endpoint instance gets on this machine, by what one request of the model costs.

An instance must saturate before the local AWS and the load generator do, so a quick model gets little of a CPU; and it
must serve enough requests a second to be judged, so a slow one gets more, as far as the machine goes.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

import golden
from golden import GoldenError, GoldenSet, Request
from golden.local_server import LocalServer, serve
from rehearsal.errors import MachineTooSmall, RehearsalError
from rehearsal.machine import ROOT
from rehearsal.models import RehearsalModel

WANTED_PER_SECOND = 100.0  # requests of one instance
LEAST_PER_SECOND = 2.0  # with fewer, a capacity is not known within the time of a rehearsal
BUSY_INSTANCES = 2  # at once: two serve a surge, and a third one takes a part of it
LATENCY_PART = 0.5  # of the promised latency: the most that a request alone may take
ELSEWHERE_SECONDS = 0.0025  # CPU time of one request in the local AWS and the load generator
FILLED_PART = 0.9  # of the free CPUs
CLIENTS_PART = 0.05  # of what one instance serves: the background clients of an endpoint
CLIENTS_PER_SECOND = 5.0
SECONDS, REQUESTS = 2.0, 10  # how long, and how often at least, a model is asked to find its cost
UNKNOWN_SCALE = 0.02  # CPUs for a vCPU, where the cost is not known
SCALE = "LOCAL_AWS_CPU_SCALE"
BUSY_SECONDS = 1.0  # how long the machine is watched


@dataclass(frozen=True)
class CpuShare:
    """The CPUs of one instance, and the requests a second that it is expected to serve with them; None: not known."""

    cpus: float
    vcpus: int
    per_second: float | None
    reason: str

    @property
    def clients_per_second(self) -> float:
        """Return the rate of each endpoint's background clients."""
        return min(CLIENTS_PER_SECOND, CLIENTS_PART * (self.per_second or WANTED_PER_SECOND))

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of the local AWS that give an instance this share."""
        return {SCALE: f"{self.cpus / self.vcpus:.4g}"}

    def __str__(self) -> str:
        return f"each instance gets {self.cpus:.2g} of a CPU: {self.reason}"


def cpu_share(
    model: RehearsalModel, instance_type: str, limit_seconds: float, environ: Mapping[str, str] = os.environ
) -> CpuShare:
    """Return the share of an instance of this type on this machine; a scale that `environ` has is taken.

    `limit_seconds`: the latency that the environment promises.

    Raises RehearsalError for a type that the local AWS does not know, and MachineTooSmall.
    """
    vcpus = _vcpus(instance_type)
    if environ.get(SCALE):
        return CpuShare(float(environ[SCALE]) * vcpus, vcpus, None, f"{SCALE} is set")
    try:
        seconds = measure_request_seconds(model)
    except GoldenError as error:
        return CpuShare(UNKNOWN_SCALE * vcpus, vcpus, None, f"a request's cost is not known: {error.what}")
    busy_percent = psutil.cpu_percent(interval=BUSY_SECONDS)
    return choose_share(seconds, free_cpus(len(os.sched_getaffinity(0)), busy_percent), vcpus, limit_seconds)


def choose_share(request_seconds: float, free_cpus: float, vcpus: int, limit_seconds: float) -> CpuShare:
    """Return each instance's share, by the CPU seconds of one request and the latency that is promised.

    Raises MachineTooSmall when the model would be too slow to be judged.
    """
    most = FILLED_PART * free_cpus / (BUSY_INSTANCES * (request_seconds + ELSEWHERE_SECONDS))
    per_second = min(WANTED_PER_SECOND, most)
    cost = f"a request takes {1000 * request_seconds:.3g} ms of one"
    cpus = per_second * request_seconds
    alone = request_seconds / min(cpus, 1.0)
    if per_second < LEAST_PER_SECOND or alone > LATENCY_PART * limit_seconds:
        raise MachineTooSmall(
            f"{cost}, and {free_cpus:.1f} CPUs are free, so that an instance would serve {per_second:.1f} requests a second, "
            f"each in {1000 * alone:.0f} ms at least; {LEAST_PER_SECOND:g} a second are needed, and "
            f"{1000 * LATENCY_PART * limit_seconds:.0f} ms for a promise of {1000 * limit_seconds:.0f} (limits.p99_ms)",
            fix="Rehearse on a machine with more CPUs, or when nothing else runs.",
        )
    return CpuShare(cpus, vcpus, per_second, f"{cost}, so that it serves about {per_second:.0f} a second")


def free_cpus(cpus: int, busy_percent: float) -> float:
    """Return the CPUs that a rehearsal gets: those that are idle, and at least half, which the system's turns give it."""
    return max(cpus * (1 - busy_percent / 100), cpus / 2)


def measure_request_seconds(model: RehearsalModel) -> float:
    """Return the CPU seconds of one golden request, of all processes that serve it.

    Raises GoldenError when the model cannot be served as a process of this machine.
    """
    golden_set = golden.read(model.golden)
    with serve(model.folder, workers=None) as server:
        _ask(server, golden_set, 1.0, 1)  # the first answers are slower
        before = _cpu_seconds(server)
        asked = _ask(server, golden_set, SECONDS, REQUESTS)
        return max(_cpu_seconds(server) - before, 0.0001) / asked


def _ask(server: LocalServer, golden_set: GoldenSet, seconds: float, at_least: int) -> int:
    """Ask golden requests in turn; return how many."""
    requests: list[Request] = [case.request for case in golden_set.answered]
    if not requests:
        raise GoldenError("No golden request of this model is answered.", fix="Record one that is.")
    until, asked = time.monotonic() + seconds, 0
    with contextlib.closing(server.connection()) as connection:  # kept, as the local AWS keeps its own
        while time.monotonic() < until or asked < at_least:
            server.ask(requests[asked % len(requests)], connection)
            asked += 1
    return asked


def _cpu_seconds(server: LocalServer) -> float:
    """Return the CPU time so far of the server's processes."""
    root = psutil.Process(server.process_id)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
    return total


def _vcpus(instance_type: str) -> int:
    words = [sys.executable, "-m", "local_aws", "instance-type", instance_type]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RehearsalError(
            done.stderr.strip(), fix="Name another endpoint.instance_type, for this rehearsal at least."
        )
    return int(json.loads(done.stdout)["vcpus"])
