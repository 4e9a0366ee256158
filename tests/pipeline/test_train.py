"""A training job for each content of image, data and settings, through the SageMaker SDK, on the local AWS."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import local_aws
from pipeline.account.bootstrap import bootstrap
from pipeline.aws.calls import Call
from pipeline.aws.training import sdk_parameters
from pipeline.aws.validation import problem_of
from pipeline.config import Environment, Training
from pipeline.errors import ConfigError, TrainingFailed
from pipeline.publishing.supply_chain import Origin
from pipeline.publishing.train import TrainResult, job_name, train, training_request
from pipeline.publishing.weights import sync_weights
from pipeline.run import Run

MakeEnv = Callable[..., Environment]
ROOT = Path(__file__).parents[2]

# What `train` is in these tests: it copies its data, or says why it cannot.
PROGRAM = """
import json, os, pathlib, sys
root = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
given = json.loads((root / "input/config/hyperparameters.json").read_text())
print("epochs", given["epochs"], flush=True)
if given["epochs"] == "0":
    (root / "output").mkdir(exist_ok=True)
    (root / "output" / "failure").write_text("no epochs")
    sys.exit(1)
(root / "model" / "golden.json").write_text((root / "input/data/training/golden.json").read_text())
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_aws.Running]:
    program = tmp_path_factory.mktemp("program") / "train.py"
    program.write_text(PROGRAM)
    with local_aws.start(instances="process", train_command=f"{sys.executable} {program}") as aws:
        yield aws


@pytest.fixture
def run(
    running: local_aws.Running, make_env: MakeEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    for name, value in running.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    data = tmp_path / "data"
    data.mkdir()
    (data / "golden.json").write_text('{"cases": [{"instance": [1]}]}')
    given = {"instance_type": "ml.m5.large", "maximum_seconds": 600, "data": str(data)}
    env = make_env(training={**given, "hyperparameters": {"epochs": 2}})
    run = Run.for_environment(env, tmp_path)
    bootstrap(run)
    run.aws.made.clear()
    return run


def trained(run: Run) -> TrainResult:
    return train(run, Origin(), engine=False, sbom=False)


def with_epochs(run: Run, epochs: int) -> Run:
    training = run.env.training
    assert training is not None
    changed = training.model_copy(update={"hyperparameters": {"epochs": str(epochs)}})
    return replace(run, env=run.env.model_copy(update={"training": changed}))


@pytest.mark.starts_processes
def test_what_was_trained_is_what_weights_choose(run: Run, said: Callable[[], list[str]]) -> None:
    result = trained(run)
    weights = sync_weights(result.weights, run.aws).weights

    assert result.made
    assert result.weights == f"training-job/{result.job}"
    assert any(result.weights in sentence for sentence in said())
    assert weights.uri.startswith("s3://digits-releases-123456789012/weights/")
    assert run.aws.made[0] == "upload training data golden.json"


@pytest.mark.starts_processes
def test_a_job_goes_to_the_aws_of_this_run_whatever_the_process_asked_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sagemaker.core.utils.utils import SageMakerClient

    with monkeypatch.context() as earlier:
        earlier.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
        SageMakerClient(region_name="eu-west-1").get_client("sagemaker")

    assert trained(with_epochs(run, 4)).made


@pytest.mark.starts_processes
def test_the_same_content_trains_once(run: Run) -> None:
    first = trained(run)
    run.aws.made.clear()
    again = trained(run)

    assert (again.job, again.made, run.aws.made) == (first.job, False, [])
    assert trained(with_epochs(run, 3)).job != first.job


@pytest.mark.starts_processes
def test_a_failed_job_says_why_and_does_not_stand_in_the_way(run: Run) -> None:
    failing = with_epochs(run, 0)
    with pytest.raises(TrainingFailed, match=r"no epochs[\s\S]*epochs 0"):
        trained(failing)
    with pytest.raises(TrainingFailed, match=r"-2 is Failed"):
        trained(failing)


@pytest.mark.starts_processes
def test_an_environment_without_training_says_how_to_have_one(run: Run) -> None:
    without = replace(run, env=run.env.model_copy(update={"training": None}))
    with pytest.raises(ConfigError, match="Add `training:`"):
        trained(without)


@pytest.mark.starts_processes
def test_data_that_is_not_there_is_named(run: Run) -> None:
    assert run.env.training is not None
    nowhere = run.env.training.model_copy(update={"data": "nowhere"})
    with pytest.raises(ConfigError, match="no training data at 'nowhere'"):
        trained(replace(run, env=run.env.model_copy(update={"training": nowhere})))


def request_of(env: Environment) -> dict[str, Any]:
    training = Training(
        instance_type="ml.m5.large",
        maximum_seconds=600,
        data="s3://b/d/",
        hyperparameters={"batch-size": "64"},
    )
    return training_request(env, training, "image", "s3://b/d/")


def test_every_setting_is_one_that_aws_and_the_sdk_know(make_env: MakeEnv) -> None:
    from sagemaker.core.shapes import Channel, ResourceConfig, VpcConfig

    env = make_env(
        endpoint={"vpc": {"subnets": ["subnet-0a"], "security_groups": ["sg-0b"]}, "network_isolation": True}
    )
    request = request_of(env)
    spelt = sdk_parameters(request)

    assert (
        problem_of(Call("sagemaker", "create_training_job", {"TrainingJobName": "j", **request}, "x")) is None
    )
    assert spelt["hyper_parameters"] == {"batch-size": "64"}, "the user's own keys stay as they are"
    assert Channel(**spelt["input_data_config"][0]).data_source.s3_data_source.s3_uri == "s3://b/d/"
    assert ResourceConfig(**spelt["resource_config"]).volume_size_in_gb == 10
    assert VpcConfig(**spelt["vpc_config"]).subnets == ["subnet-0a"]


def test_a_jobs_name_fits_and_tells_its_attempt(make_env: MakeEnv) -> None:
    env = make_env(aws={"model_package_group": "g" * 63, "tags": {}})
    request = request_of(env)
    tagged = request | {"Tags": [{"Key": "a", "Value": "b"}]}

    assert len(job_name(env, request, 99)) <= 63
    assert job_name(env, request, 2) == f"{job_name(env, request, 1)}-2"
    assert job_name(env, tagged, 1) == job_name(env, request, 1), "another tag is no other training"
