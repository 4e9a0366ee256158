"""One local AWS with process instances for all tests of endpoints, and the markers `docker` and `matrix`."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from moto.cloudwatch import urls
from moto.cloudwatch.models import cloudwatch_backends

import local_aws
from local_aws.testing.github_issuer import GithubIssuer
from testbed.serving import SETTINGS, Serving

pytest_plugins = ["local_aws.testing.privileged_skips"]
FOLDER = Path(__file__).parent
settings.load_profile("ci")  # the same examples in each run, and no deadline by the clock
EVERY_CASE = os.environ.get("EVERY_CASE") == "1"


@pytest.fixture(scope="module", autouse=True)
def restored_moto() -> Iterator[None]:
    """Put moto's CloudWatch back after a module that has installed a store in it: other tests share this process."""
    backend, dispatch = vars(cloudwatch_backends)["backend"], urls.url_paths["{0}/$"]
    yield
    if vars(cloudwatch_backends)["backend"] is not backend:
        vars(cloudwatch_backends)["backend"] = backend
        cloudwatch_backends.clear()
        urls.url_paths["{0}/$"] = dispatch


@pytest.fixture(scope="session")
def issuer() -> Iterator[GithubIssuer]:
    """GitHub's issuer, as this AWS sees it."""
    with GithubIssuer() as serving:
        yield serving


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory, issuer: GithubIssuer) -> Iterator[local_aws.Running]:
    root = tmp_path_factory.mktemp("local-aws")
    places = {"state_dir": root / "state", "cache_dir": root / "cache", "oidc_issuers": issuer.setting}
    with local_aws.start(**SETTINGS, **places) as running:
        yield running


@pytest.fixture
def serving(aws: local_aws.Running) -> Iterator[Serving]:
    made = Serving(aws)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def credentials_of_its_own() -> Iterator[None]:
    """Let every module of tests have its own credentials: boto3 keeps those that it first saw."""
    yield
    if "boto3" in sys.modules:
        vars(sys.modules["boto3"])["DEFAULT_SESSION"] = None


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; let Ctrl-C reach the processes of tests that a shell began in its background."""
    config.addinivalue_line("markers", "docker: needs a Docker engine (REQUIRE_DOCKER=1 forbids the skip)")
    config.addinivalue_line("markers", "sky: instances and minutes that a test takes on the real AWS")
    config.addinivalue_line("markers", "matrix: one case of many; one by seed, or all with EVERY_CASE=1")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def matrix_seed() -> int:
    """Return MATRIX_SEED, else a number derived from the commit, so that a second run is the same run."""
    if given := os.environ.get("MATRIX_SEED"):
        return int(given)
    words = ["git", "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0  # not a checkout
    return int(commit[:8], 16) % 10_000


def pytest_report_header() -> str:
    if EVERY_CASE:
        return "matrices of local_aws: every case"
    return f"matrices of local_aws: one case of each by MATRIX_SEED={matrix_seed()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one seeded case of every test of this folder that is marked `matrix`; with EVERY_CASE=1, all."""
    if EVERY_CASE:
        return
    matrices: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.path.is_relative_to(FOLDER) and item.get_closest_marker("matrix"):
            matrices.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = {
        random.Random(f"{matrix_seed()}{name}").choice(cases)
        for name, cases in matrices.items()
        if not _runs_only_in_prove(cases[0])
    }
    dropped = {item for cases in matrices.values() for item in cases} - kept
    config.hook.pytest_deselected(items=list(dropped))
    items[:] = [item for item in items if item not in dropped]


def _runs_only_in_prove(item: pytest.Item) -> bool:
    """Check for `matrix(only_in_prove=True)`: one case alone would be too long for `make test`."""
    marker = item.get_closest_marker("matrix")
    return marker is not None and bool(marker.kwargs.get("only_in_prove"))


@cache
def engine_problem() -> str | None:
    """Return the reason why no Docker engine answers, or None when one does."""
    words = ["docker", "info", "--format", "{{.ServerVersion}}"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=20)
    except FileNotFoundError:
        return "there is no docker command"
    except subprocess.TimeoutExpired:
        return "the docker command did not answer within 20 s"
    return None if answer.returncode == 0 else answer.stderr.strip().splitlines()[-1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") is None or (problem := engine_problem()) is None:
        return
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but no Docker engine answers: {problem}")
    pytest.skip(f"needs a Docker engine: {problem}")
