"""Weights are released only with an image that takes, gives and computes what they were made for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Environment
from pipeline.errors import BuildFailed, ReleaseError
from pipeline.publishing.compatibility import labels_of, require_compatible, requirements_of
from pipeline.publishing.publish import publish
from pipeline.release import Requirements
from pipeline.run import Run

ROOT = Path(__file__).parents[2]
LABELS = {
    "sagemaker-pytorch-release.request-response": "e7fa",
    "sagemaker-pytorch-release.engines": "onnxruntime==1.32.0 torch==2.13.0+cpu",
}
RECORD: dict[str, Any] = {
    "request_response": "e7fa",
    "auto": {"fp32": {"engine": "onnxruntime"}, "bf16": {"engine": "onnxruntime"}},
    "engines": [
        {"engine": "torch", "version": "2.13.0+cpu"},
        {"engine": "onnxruntime", "version": "1.32.0"},
        {"engine": "openvino", "version": "2026.4.1"},
    ],
}


Said = Callable[[], list[str]]


def test_only_engines_that_may_be_chosen_are_asked_for(said: Said) -> None:
    fits = requirements_of(json.dumps(RECORD).encode(), "here")
    require_compatible(fits, LABELS)

    assert fits == Requirements(request_response="e7fa", engines={"onnxruntime": "1.32.0"})
    assert said() == []


def test_which_build_of_a_version_it_is_does_not_matter(said: Said) -> None:
    require_compatible(Requirements(request_response="e7fa", engines={"torch": "2.13.0+cu130"}), LABELS)

    assert said() == []


def test_another_version_is_said_and_does_not_stop_the_release(said: Said) -> None:
    """Every start compares the answers again."""
    require_compatible(Requirements(request_response="e7fa", engines={"onnxruntime": "1.31.0"}), LABELS)

    assert len(said()) == 1
    assert "onnxruntime 1.31.0, the image has 1.32.0" in said()[0]


def test_everything_that_does_not_fit_is_named() -> None:
    fits = Requirements(request_response="beef", engines={"openvino": "2026.4.1", "onnxruntime": "1.32.0"})
    with pytest.raises(ReleaseError) as refused:
        require_compatible(fits, LABELS)

    for told in ("beef", "e7fa", "openvino 2026.4.1, the image has none"):
        assert told in str(refused.value)


@pytest.mark.parametrize("record", [b"[]", b"{", b'{"auto": {}}', b'{"auto": 1}'])
def test_a_record_that_cannot_be_read_is_an_error(record: bytes) -> None:
    with pytest.raises(ReleaseError, match=r"engines\.json of here"):
        requirements_of(record, "here")


@pytest.mark.starts_processes
def test_labels_come_from_the_build_itself() -> None:
    labels = labels_of(ROOT / "container")

    assert {name for name in LABELS if labels[name]} == set(LABELS)


@pytest.mark.starts_processes
def test_a_build_that_cannot_tell_its_labels_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "build"
    program.write_text("#!/bin/sh\necho no labels >&2\nexit 3\n")
    program.chmod(0o755)

    with pytest.raises(BuildFailed, match="exit code 3: no labels"):
        labels_of(tmp_path)


@pytest.mark.starts_processes
def test_weights_that_do_not_fit_are_no_release(
    account: Run, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    model = tmp_path / "model"
    model.mkdir()
    (model / "golden.json").write_text('{"cases": [{"instance": [0]}]}')
    (model / "engines.json").write_text(json.dumps(RECORD))
    with pytest.raises(ReleaseError, match="do not fit this image"):
        publish(account, weights=str(model), engine=False)

    assert not (tmp_path / "release.json").exists()
    assert account.aws.keys("releases/") == []
