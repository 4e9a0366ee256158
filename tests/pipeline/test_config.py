"""What cannot work does not load, and the error says which key of which file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import LONGEST_ENDPOINT, LONGEST_NAME, Environment, environments, load_environment
from pipeline.errors import ConfigError
from pipeline.plan import config_name, config_parameters
from pipeline.release import Release

ROOT = Path(__file__).parents[2]
MakeEnv = Callable[..., Environment]


@pytest.mark.parametrize("name", environments(ROOT / "config"))
def test_every_committed_environment_loads(name: str) -> None:
    assert load_environment(name, ROOT / "config").name == name


def test_production_takes_only_what_passed_in_staging() -> None:
    assert load_environment("production", ROOT / "config").promotes_from == "staging"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"endpoint": {"initial_instances": 1}, "autoscaling": {"min_instances": 1}}, "at most half of the fleet"),
        ({"endpoint": {"initial_instances": 5}}, "within autoscaling's min and max"),
        ({"endpoint": {"name": "x" * (LONGEST_ENDPOINT + 1)}}, "leave room"),
        ({"endpoint": {"environment": {"RELEASE_ID": "mine"}}}, "set by the pipeline"),
        ({"endpoint": {"instnace_type": "ml.m5.large"}}, "Extra inputs"),
        ({"autoscaling": {"min_instances": 4, "max_instances": 3}}, "at least min_instances"),
        ({"deployment": {"canary_percent": 51}}, "less than or equal to 50"),
        ({"deployment": {"bake_seconds": 600, "maximum_execution_seconds": 600}}, "must be less than"),
        ({"aws": {"account_id": "12"}}, "String should match"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(make_env: MakeEnv, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_env(**changes)


def test_one_instance_is_enough_without_a_canary(make_env: MakeEnv) -> None:
    env = make_env(
        deployment={"strategy": "all_at_once"},
        endpoint={"initial_instances": 1},
        autoscaling={"min_instances": 1},
    )

    assert env.endpoint.initial_instances == 1


def test_the_longest_endpoint_still_gives_names_that_aws_takes(make_env: MakeEnv, release: Release) -> None:
    env = make_env(endpoint={"name": "e" * LONGEST_ENDPOINT})
    capacity = config_parameters(release, env, endpoint=f"{env.endpoint.name}-capacity", instances=1)

    assert len(config_name(release, env)) <= LONGEST_NAME
    assert len(capacity["EndpointConfigName"]) == LONGEST_NAME


def write(directory: Path, name: str, **changes: Any) -> None:
    content = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text()) | changes
    (directory / f"{name}.yaml").write_text(yaml.safe_dump(content))


def test_an_unknown_environment_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, "staging")

    with pytest.raises(ConfigError, match=r"no environment 'stagign'[\s\S]*\['staging'\]"):
        load_environment("stagign", tmp_path)


def test_a_wrong_key_is_named_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, "staging", limits={"p99_ms": -1})

    with pytest.raises(ConfigError, match=r"staging\.yaml is not valid:\n  limits\.p99_ms"):
        load_environment("staging", tmp_path)


def test_a_name_that_is_not_the_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "production")

    with pytest.raises(ConfigError, match="says name: staging"):
        load_environment("production", tmp_path)


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "staging.yaml").write_text("name: [")

    with pytest.raises(ConfigError, match="line 1"):
        load_environment("staging", tmp_path)
