"""An environment, a release and, where a test needs S3 or ECR, moto behind the AWS client."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from moto.server import ThreadedMotoServer

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.config import Environment
from pipeline.release import Image, Release, Weights, make_release
from pipeline.run import Run
from tests.pipeline.deploy_jobs import Account
from tests.pipeline.scene import ROOT, contract_cloud, name_for, published
from tests.pipeline.stage import Stage
from tests.pipeline.steps import MakeEnv

STAGING: dict[str, Any] = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())


# The models of most tests have no metrics, and answer what they like.
STAGING["verification"], STAGING["limits"]["changed_answers_percent"] = {}, None


def environment(**changes: Any) -> Environment:
    """Return the staging environment with changes: `environment(endpoint={"initial_instances": 3})`."""
    merged = {
        key: {**value, **changes.get(key, {})} if isinstance(value, dict) else changes.get(key, value)
        for key, value in STAGING.items()
    }
    return Environment.model_validate({**changes, **merged})


@pytest.fixture
def make_env() -> Callable[..., Environment]:
    return environment


@pytest.fixture
def own_name(
    cloud: local_aws.Running, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Let this test's clients find its module's `cloud`; return a name for what belongs to this test alone there."""
    for name, value in cloud.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    return name_for(request.node.name)


@pytest.fixture
def publish_model(run: Run, tmp_path: Path) -> Callable[..., Release]:
    """Publish a model that behaves so; `mark` makes it another release."""

    def publish_it(mark: str, behaviour: str = "status 200") -> Release:
        return published(run, tmp_path / run.env.name, mark, behaviour)

    return publish_it


@pytest.fixture
def env() -> Environment:
    return environment()


@pytest.fixture
def make_test_release() -> Callable[..., Release]:
    """Make a release; its letter (a–f) decides its content and with it its id."""

    def make(letter: str = "a") -> Release:
        image = Image(
            uri=f"digits@sha256:{letter * 64}",
            digest=f"sha256:{letter * 64}",
            tag=letter * 40,
            is_source_hash=False,
        )
        weights = Weights(
            uri=f"s3://digits-releases-123456789012/weights/{letter * 64}/model.tar.gz",
            sha256=letter * 64,
            bytes=1,
        )
        return make_release(image, weights, commit="c" * 40, dirty=False, run_url=None)

    return make


@pytest.fixture
def release(make_test_release: Callable[..., Release]) -> Release:
    return make_test_release()


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Empty moto, and set the environment variables that lead every client to it."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    for name, value in {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    return moto_url


@pytest.fixture
def account(moto: str, env: Environment, tmp_path: Path) -> Run:
    """Return a run in an account that was bootstrapped; what that took is forgotten."""
    run = Run.for_environment(env, tmp_path)
    bootstrap(run)
    run.aws.made.clear()
    return run


@pytest.fixture
def enforced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Return an account with both environments, on an AWS of its own that enforces IAM."""
    from tests.pipeline.enforced_account import enforced_account  # it imports `environment` from here

    monkeypatch.chdir(ROOT)
    with enforced_account(tmp_path) as account:
        yield account


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns the messages that the pipeline has logged so far."""
    caplog.set_level(logging.INFO, logger="pipeline")
    return lambda: [each.getMessage() for each in caplog.records if each.name.startswith("pipeline.")]


@pytest.fixture(scope="session")
def stage_cloud() -> Iterator[local_aws.Running]:
    """One AWS for all scenes; four minutes of it take a second."""
    with contract_cloud(time_scale=240, cpu_scale=0.5, endpoint_quotas="*=1000", stop_grace_seconds=2) as aws:
        yield aws


@pytest.fixture
def stage(
    stage_cloud: local_aws.Running, make_env: MakeEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    for name, value in stage_cloud.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    return Stage(stage_cloud, make_env, tmp_path)
