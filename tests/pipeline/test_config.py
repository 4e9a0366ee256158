"""A config that cannot work does not load, and the error names the key and the file."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.__main__ import main
from pipeline.account.cost import cost_of, load_prices
from pipeline.commands.config import schema
from pipeline.config import (
    LONGEST_ENDPOINT,
    LONGEST_NAME,
    Environment,
    Strategy,
    environments,
    load_environment,
    strategy_of,
    with_strategy,
)
from pipeline.config.error_sentences import PATTERNS
from pipeline.deployment.plan import config_name, config_parameters
from pipeline.errors import ConfigError
from pipeline.release import Release

ROOT = Path(__file__).parents[2]
MakeEnv = Callable[..., Environment]
KEY = "alias/digits"
CPU: dict[str, Any] = {
    "name": "cpu",
    "namespace": "/aws/sagemaker/Endpoints",
    "metric": "CPUUtilization",
    "statistic": "Average",
    "threshold": 90,
    "scope": "endpoint",
}
SLOW: dict[str, Any] = {"name": "slow", "metric": "ModelLatency", "statistic": "p90", "threshold": 1e5}


@pytest.mark.parametrize("name", environments(ROOT / "config"))
def test_every_committed_environment_loads(name: str) -> None:
    assert load_environment(name, ROOT / "config").name == name


def test_production_takes_only_what_passed_in_staging() -> None:
    assert load_environment("production", ROOT / "config").promotes_from == "staging"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"endpoint": {"initial_instances": 1}, "autoscaling": {"min_instances": 1}}, "at most half of the fleet"),
        ({"deployment": {"strategy": "linear"}}, "strategy linear needs linear_percent"),
        ({"deployment": {"strategy": "rolling"}}, "strategy rolling needs batch_percent"),
        ({"deployment": {"strategy": "linear", "linear_percent": 10, "bake_seconds": 1200}}, "must be less than"),
        ({"endpoint": {"initial_instances": 5}}, "within autoscaling's min and max"),
        ({"endpoint": {"name": "x" * (LONGEST_ENDPOINT + 1)}}, "leave room"),
        ({"endpoint": {"environment": {"RELEASE_ID": "mine"}}}, "set by the pipeline"),
        ({"endpoint": {"instnace_type": "ml.m5.large"}}, "Extra inputs"),
        ({"autoscaling": {"min_instances": 4, "max_instances": 3}}, "at least min_instances"),
        ({"deployment": {"canary_percent": 51}}, "less than or equal to 50"),
        ({"deployment": {"bake_seconds": 600, "maximum_execution_seconds": 600}}, "must be less than"),
        ({"aws": {"account_id": "12"}}, "String should match"),
        ({"alarms": {"p99_latency_ms": 501}}, "looser than the promise, limits.p99_ms 500"),
        ({"alarms": {"error_percent": 1.5}}, "looser than the promise, limits.error_percent 1"),
        ({"aws": {"tags": {"aws:mine": "1"}}}, "does not begin with aws:"),
        ({"endpoint": {"kms_key": KEY, "instance_type": "ml.c5d.large"}}, "storage of its own"),
        ({"endpoint": {"kms_key": KEY, "instance_type": "ml.g5.xlarge"}}, "storage of its own"),
        ({"endpoint": {"kms_key": "my key"}}, "String should match"),
        ({"endpoint": {"vpc": {"subnets": [], "security_groups": ["sg-1"]}}}, "at least 1 item"),
        ({"endpoint": {"data_capture": {"percent": 0}}}, "greater than or equal to 1"),
        ({"alarms": {"datapoints_to_alarm": 4}}, "it must be at most evaluation_periods, 3"),
        ({"alarms": {"custom": [CPU | {"datapoints_to_alarm": 9}]}}, "cpu: datapoints_to_alarm is 9"),
        ({"alarms": {"period_seconds": 10}}, "should be 60, 120, 180 or 300"),
        ({"alarms": {"custom": [SLOW | {"period_seconds": 30}]}}, "have one datapoint a minute"),
        ({"alarms": {"custom": [CPU, CPU]}}, "is there twice"),
        ({"alarms": {"custom": [CPU | {"name": "slow-requests"}]}}, "the pipeline's own alarms"),
        ({"alarms": {"custom": [CPU | {"scope": "new_fleet"}]}}, "set `scope: endpoint`"),
        ({"alarms": {"named": [str(number) for number in range(8)]}}, "SageMaker takes at most 10"),
        ({"promotion": {"evidence_age_hours": 0}}, "greater than 0"),
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


def write(directory: Path, name: str, /, **changes: Any) -> None:
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


@pytest.mark.parametrize(
    ("keys", "wrong", "right"),
    [
        (("endpoint",), "instnace_type", "endpoint.instance_type"),
        (("autoscaling",), "max_instance", "autoscaling.max_instances"),
        (("load", "quick"), "step_second", "load.quick.step_seconds"),
        ((), "autoscalling", "autoscaling"),
        (("autoscaling",), "canary_percent", "deployment.canary_percent"),
        (("endpoint", "data_capture"), "precent", "endpoint.data_capture.percent"),
        (("alarms", "custom", 0), "treshold", "alarms.custom.threshold"),
    ],
)
def test_a_misspelt_key_names_the_nearest_right_one(
    tmp_path: Path, keys: tuple[str | int, ...], wrong: str, right: str
) -> None:
    content = section = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())
    content["endpoint"]["data_capture"], content["alarms"]["custom"] = {"percent": 10}, [dict(CPU)]
    for key in keys:
        section = section[key]
    section[wrong] = 1
    (tmp_path / "staging.yaml").write_text(yaml.safe_dump(content))

    with pytest.raises(ConfigError, match=f"{wrong}: there is no such key; did you mean {right}\\?"):
        load_environment("staging", tmp_path)


def nested(keys: str, value: Any) -> dict[str, Any]:
    """Return staging's file with one value changed; `keys` are joined by dots, numbers are places in lists."""
    content = section = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())
    content["endpoint"]["data_capture"], content["alarms"]["custom"] = {"percent": 10}, [dict(CPU)]
    *above, last = keys.split(".")
    for key in above:
        section = section[int(key) if key.isdigit() else key]
    section[last] = value
    return dict(content)


@pytest.mark.parametrize(
    ("keys", "wrong", "says"),
    [
        ("aws.account_id", "123456789012", 'not 123456789012; quote it: account_id: "123456789012"'),
        ("aws.account_id", "012345670123", 'not 012345670123; quote it: account_id: "012345670123"'),
        ("aws.account_id", "'12'", 'it must be an account id of 12 digits in quotes: "123456789012", not 12'),
        ("aws.region", "Ireland", "it must be a Region, such as eu-west-1, not Ireland"),
        ("aws.tags.team", "7", 'it must be text in quotes, not 7; quote it: team: "7"'),
        ("aws.tags", "digits", "it must be a section of `key: value` lines, not digits"),
        ("endpoint.environment.DEBUG", "yes", 'not yes; quote it: DEBUG: "yes"'),
        ("endpoint.environment.THREADS", "4", 'quote it: THREADS: "4"'),
        (
            "endpoint.instance_type",
            "m5.large",
            "an instance type of SageMaker, such as ml.m5.large, not m5.large",
        ),
        ("endpoint.initial_instances", "two", "it must be a whole number, not two"),
        ("endpoint.initial_instances", "0", "it must be at least 1, not 0"),
        ("endpoint.network_isolation", "maybe", "it must be true or false, not maybe"),
        (
            "endpoint.routing",
            "RANDON",
            "'LEAST_OUTSTANDING_REQUESTS', 'RANDOM', not RANDON; did you mean RANDOM?",
        ),
        (
            "autoscaling.target",
            "measurd",
            "it must be 'measured' or a number, not measurd; did you mean measured?",
        ),
        ("autoscaling.target", "0", "it must be 'measured' or greater than 0, not 0"),
        ("alarms.notify", "me", "it must be 'alerts' or the ARN of an SNS topic, not me"),
        ("alarms.custom", "cpu", "it must be a list: [first, second], not cpu"),
        ("alarms.custom.0.statistic", "Mean", "or a percentile such as p99, not Mean"),
        ("deployment.canary_percent", "51", "it must be at most 50, not 51"),
        ("load", "hard", "it must be a section of `key: value` lines, not hard"),
        ("promotion.scan_stops_at", "critcal", "did you mean critical?"),
    ],
)
def test_a_wrong_value_is_told_in_words_with_what_to_write(
    tmp_path: Path, keys: str, wrong: str, says: str
) -> None:
    mark = "the-wrong-value"
    text = yaml.safe_dump(nested(keys, mark)).replace(mark, wrong)
    (tmp_path / "staging.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_environment("staging", tmp_path)

    assert f"\n  {keys}: " in refused.value.what
    assert says in refused.value.what
    assert len(refused.value.what.splitlines()) == 2, "one line for one key"
    for jargon in ("Input should", "[type=", "pattern", "^", "constrained", "function-", "literal", "str]"):
        assert jargon not in refused.value.what


def test_a_missing_key_says_where_it_is_explained(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "config" / "staging.yaml").read_text())
    del content["aws"]["bucket"]
    (tmp_path / "staging.yaml").write_text(yaml.safe_dump(content))

    with pytest.raises(
        ConfigError, match=r"aws\.bucket: it is missing; .* docs/pipeline.md say what it holds"
    ):
        load_environment("staging", tmp_path)


def test_every_pattern_of_the_config_is_told_in_words() -> None:
    """A new pattern needs a sentence in PATTERNS."""
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', schema()))

    assert {json.loads(pattern) for pattern in patterns} == set(PATTERNS)


def test_every_rule_that_pydantic_checks_for_the_config_is_told_in_words() -> None:
    """A new kind of rule needs a sentence in must_be: each keyword of the JSON Schema has one here."""
    told = {
        *("pattern", "enum", "const", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"),
        *("minLength", "maxLength", "minItems", "maxItems", "maxProperties", "type", "required"),
    }
    structure = {
        *("$schema", "$defs", "$ref", "title", "description", "default", "properties", "items", "anyOf"),
        *("additionalProperties",),
    }

    def keywords(node: Any) -> Iterator[str]:
        for key, value in node.items():
            yield key
            if key in ("properties", "$defs"):
                for each in value.values():
                    yield from keywords(each)
            elif key in ("items", "additionalProperties") and isinstance(value, dict):
                yield from keywords(value)
            elif key == "anyOf":
                for each in value:
                    yield from keywords(each)

    assert set(keywords(json.loads(schema()))) <= told | structure


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: staging\nname: other\n", 2),
        ("limits:\n  p99_ms: 500\n  p99_ms: 900\n", 3),
        ("load: {quick: {a: 1, a: 2}}", 1),
    ],
)
def test_a_key_that_a_section_has_twice_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int
) -> None:
    (tmp_path / "staging.yaml").write_text(text)

    with pytest.raises(ConfigError, match=rf"is there twice: it is in line \d already[\s\S]*line {line}"):
        load_environment("staging", tmp_path)


@pytest.mark.parametrize(
    ("source", "says"), [("stagin", "did you mean staging?"), ("production", "no other environment")]
)
def test_an_environment_is_promoted_from_another_one_that_exists(
    tmp_path: Path, source: str, says: str
) -> None:
    write(tmp_path, "staging")
    write(tmp_path, "production", name="production", promotes_from=source)

    with pytest.raises(ConfigError) as refused:
        load_environment("production", tmp_path)
    assert f"promotes_from: {source}, which is no other environment" in refused.value.what
    assert says in refused.value.what


def test_a_key_like_no_other_gets_no_guess(tmp_path: Path) -> None:
    write(tmp_path, "staging", zzz=1)

    with pytest.raises(ConfigError, match=r"zzz: there is no such key\n"):
        load_environment("staging", tmp_path)


@pytest.mark.parametrize("name", ["staging", "production"])
def test_only_the_quick_profile_takes_more_than_the_promise_for_slower(name: str) -> None:
    env = load_environment(name, ROOT / "config")

    assert env.load.quick.slower_than(env.limits) == 100
    assert env.load.full.slower_than(env.limits) == env.limits.slower_percent == 25


def test_the_committed_schema_is_the_models() -> None:
    """Write it again by `python -m pipeline config schema > config/schema.json`."""
    assert (ROOT / "config" / "schema.json").read_text() == schema()


@pytest.mark.parametrize("name", environments(ROOT / "config"))
def test_editors_find_the_schema_of_every_environment(name: str) -> None:
    first = (ROOT / "config" / f"{name}.yaml").read_text().splitlines()[0]

    assert first == "# yaml-language-server: $schema=schema.json"


@pytest.mark.parametrize("name", environments(ROOT / "config"))
def test_what_config_shows_is_the_same_environment(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["config", "--env", name, "--config", str(ROOT / "config")]) == 0
    for other in environments(ROOT / "config"):
        (tmp_path / f"{other}.yaml").write_text((ROOT / "config" / f"{other}.yaml").read_text())
    (tmp_path / f"{name}.yaml").write_text(capsys.readouterr().out)

    assert load_environment(name, tmp_path) == load_environment(name, ROOT / "config")


def test_the_cost_is_instances_times_price(make_env: MakeEnv) -> None:
    prices = load_prices(ROOT / "config", "eu-west-1")
    price = prices.hourly["ml.m5.large"]
    cost = cost_of(make_env(), prices)

    assert (cost.now, cost.at_maximum, cost.during_deployment) == (2 * price, 4 * price, 8 * price)
    assert any(str(prices.as_of) in sentence for sentence in cost.sentences())


def test_a_rolling_deployment_pays_for_one_batch_more(make_env: MakeEnv) -> None:
    prices = load_prices(ROOT / "config", "eu-west-1")
    cost = cost_of(make_env(deployment={"strategy": "rolling", "batch_percent": 25}), prices)

    assert cost.during_deployment == pytest.approx(5 * prices.hourly["ml.m5.large"])


def test_a_region_without_prices_does_not_take_anothers() -> None:
    with pytest.raises(ConfigError, match=r"has no prices of ap-south-1"):
        load_prices(ROOT / "config", "ap-south-1")


def test_the_cost_names_the_region_of_the_config(make_env: MakeEnv) -> None:
    prices = [load_prices(ROOT / "config", region) for region in ("eu-west-1", "us-east-1")]
    costs = [cost_of(make_env(), each) for each in prices]

    assert [cost.prices_region for cost in costs] == ["eu-west-1", "us-east-1"]
    assert costs[0].now > costs[1].now


def test_a_type_without_a_price_is_said(make_env: MakeEnv) -> None:
    with pytest.raises(ConfigError, match=r"no ml\.p5\.48xlarge"):
        cost_of(
            make_env(endpoint={"instance_type": "ml.p5.48xlarge"}), load_prices(ROOT / "config", "eu-west-1")
        )


@pytest.mark.parametrize("name", environments(ROOT / "config"))
def test_every_committed_environment_has_a_price(name: str) -> None:
    env = load_environment(name, ROOT / "config")

    assert cost_of(env, load_prices(ROOT / "config", env.aws.region)).now > 0


def test_the_cost_of_no_environment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "cost"]) == ConfigError.exit_code
    assert "--env staging" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("deployment", "instances", "waits"),
    [
        ({"strategy": "all_at_once"}, 4, 160),
        ({"strategy": "canary"}, 4, 160),
        ({"strategy": "linear", "linear_percent": 25}, 4, 360),
        ({"strategy": "linear", "linear_percent": 10}, 3, 260),
        ({"strategy": "rolling", "batch_percent": 50}, 4, 200),
        ({"strategy": "rolling", "batch_percent": 5}, 3, 300),
    ],
)
def test_the_waits_of_every_strategy_are_added_up(
    make_env: MakeEnv, deployment: dict[str, Any], instances: int, waits: int
) -> None:
    env = make_env(deployment={"bake_seconds": 100, "termination_wait_seconds": 60, **deployment})

    assert env.deployment.waits_seconds(instances) == waits


@pytest.mark.parametrize("strategy", ["all_at_once", "canary", "linear", "rolling"])
def test_another_strategy_can_be_asked_for_and_read_from_what_aws_tells(
    make_env: Callable[..., Environment], strategy: Strategy
) -> None:
    env = make_env(deployment={"linear_percent": 50, "batch_percent": 50})
    asked = with_strategy(env, strategy)

    assert strategy_of(asked.deployment.policy()) == strategy
    assert with_strategy(asked, env.deployment.strategy) == env
    assert strategy_of(None) is None


def test_a_driver_is_chosen_for_a_type_with_gpus_alone(make_env: MakeEnv) -> None:
    ami = "al2023-ami-sagemaker-inference-gpu-4-1"

    assert (
        make_env(endpoint={"instance_type": "ml.g5.xlarge", "inference_ami": ami}).endpoint.inference_ami
        == ami
    )
    with pytest.raises(ValueError, match=r"inference_ami: ml\.m5\.large has no GPU"):
        make_env(endpoint={"instance_type": "ml.m5.large", "inference_ami": ami})
