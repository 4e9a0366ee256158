"""A rehearsal takes any model: an archive, a folder, or an example that makes itself anew from a seed."""

import shutil
import tarfile
from pathlib import Path

import pytest

import golden
from golden import Case, Expected, Request
from rehearsal import models
from rehearsal.errors import RehearsalError
from rehearsal.machine import ROOT
from rehearsal.models import CONFIG, config_of, local_model, prepare_models

pytestmark = pytest.mark.starts_processes
CASE = Case(Request(b"[1]"), Expected(b"[2]", "application/json"))
PREPARE = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("target", type=pathlib.Path)
parser.add_argument("--seed", type=int, default=0)
chosen = parser.parse_args()
chosen.target.mkdir()
(chosen.target / "seed").write_text(str(chosen.seed))
(chosen.target / "golden.jsonl").write_text('{"request": {"body": {"json": 1}}}')
with open(pathlib.Path(__file__).parent.parent / "made", "a") as made:
    made.write("x")
"""


def model_folder(folder: Path) -> Path:
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text("def model_fn(folder): return None\n")
    return folder


def prepare(source: Path, tmp_path: Path, requests: Path | None = None) -> tuple[models.RehearsalModel, ...]:
    build = tmp_path / "build"
    build.mkdir(exist_ok=True)
    return prepare_models(source, requests, build, tmp_path / "cache", tmp_path / "log")


@pytest.mark.parametrize("packed", [True, False])
def test_the_baseline_of_an_archive_differs_by_a_record_alone(tmp_path: Path, packed: bool) -> None:
    source = model_folder(tmp_path / "model")
    golden.write([CASE], source / "golden.jsonl")
    if packed:
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
            for path in source.iterdir():
                archive.add(path, path.name)
        source = tmp_path / "model.tar.gz"

    baseline, release = prepare(source, tmp_path)

    names = [
        {str(path.relative_to(each.folder)) for path in each.folder.rglob("*")}
        for each in (baseline, release)
    ]
    assert names[0] - names[1] == {"rehearsal.json"}
    assert golden.read(baseline.golden) == golden.read(release.golden)
    assert release.publish_options == ("--weights", str(release.folder))


def test_an_example_is_made_with_two_seeds_and_once(tmp_path: Path) -> None:
    example = tmp_path / "example"
    example.mkdir()
    (example / "prepare.py").write_text(PREPARE)

    made = [prepare(example, tmp_path) for _ in range(2)]

    assert [(each.folder / "seed").read_text() for each in made[0]] == ["0", "2"]
    assert made[0] == made[1]
    assert (tmp_path / "made").read_text() == "xx"


def test_an_example_that_was_edited_is_made_again(tmp_path: Path) -> None:
    example = tmp_path / "example"
    example.mkdir()
    (example / "prepare.py").write_text(PREPARE)
    before = prepare(example, tmp_path)

    (example / "prepare.py").write_text(PREPARE + "\n# edited\n")

    assert prepare(example, tmp_path)[0].folder != before[0].folder


def test_an_example_that_fails_stops_with_its_own_message_and_keeps_nothing(tmp_path: Path) -> None:
    example = tmp_path / "example"
    example.mkdir()
    (example / "prepare.py").write_text("raise SystemExit('seed: expected a number')")

    with pytest.raises(RehearsalError, match="example was not made: seed: expected a number"):
        prepare(example, tmp_path)

    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_model_without_golden_set_and_requests_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="has no golden set") as caught:
        prepare(model_folder(tmp_path / "model"), tmp_path)

    assert "REQUESTS=folder" in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere", "broken.tar.gz"])
def test_what_is_no_model_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.tar.gz").write_text("no archive")

    with pytest.raises(RehearsalError, match=name):
        prepare(tmp_path / name, tmp_path)


def test_packages_that_a_program_needs_are_given_to_publish(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "model")
    (source / "code" / "requirements.txt").write_text("pillow\n")
    golden.write([CASE], source / "golden.jsonl")

    _, release = prepare(source, tmp_path)

    assert release.publish_options[-2:] == ("--packages", str(release.folder / "code" / "requirements.txt"))


def test_a_golden_set_is_recorded_from_requests(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "model")
    (source / "code" / "inference.py").write_text(
        "def model_fn(folder): return None\ndef transform_fn(model, body, kind, accept): return body, kind\n"
    )
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "a.json").write_text("[1.5]")

    baseline, release = prepare(source, tmp_path, tmp_path / "requests")

    assert golden.read(release.golden).cases[0].expected.document == [1.5]
    assert baseline.publish_options == (
        "--weights",
        str(baseline.folder),
        "--golden",
        str(tmp_path / "build" / "golden-baseline.jsonl"),
    )


def test_the_committed_weights_are_those_of_the_digits() -> None:
    assert local_model(config_of("staging")["weights"], "config/staging.yaml") == models.DIGITS


def test_a_config_of_ones_own_is_read_from_its_folder(tmp_path: Path) -> None:
    text = (CONFIG / "staging.yaml").read_text()
    shutil.copytree(CONFIG, tmp_path / "config")
    (tmp_path / "config" / "staging.yaml").write_text(text.replace("ml.m5.large", "ml.c5.xlarge"))

    assert config_of("staging", tmp_path / "config")["endpoint"]["instance_type"] == "ml.c5.xlarge"


@pytest.mark.parametrize("weights", ["s3://bucket/model.tar.gz", "training-job/digits-1", "nowhere"])
def test_weights_that_are_elsewhere_are_refused_with_the_command(weights: str) -> None:
    with pytest.raises(RehearsalError, match="not on this machine") as caught:
        models.local_model(weights, "config/staging.yaml")

    assert "MODEL=" in str(caught.value)


def test_weights_on_this_machine_are_the_model() -> None:
    assert models.local_model("golden", "config/staging.yaml") == ROOT / "golden"
