"""record.yml, run on this machine, makes the release on GitHub of what the artifacts of its run hold."""

import json

import pytest

from tests.workflows.act import Act
from tests.workflows.scripts import gh_calls

ARTIFACTS = {  # of a promotion by hand: the report was an artifact of the run that verified
    "release/release.json": json.dumps({"id": "a-b"}),
    "sbom/sbom.spdx.json": "{}",
    "production/evidence-staging.json": "{}",
}


@pytest.mark.starts_processes
def test_the_release_on_github_has_the_files_that_the_run_has(act: Act) -> None:
    for name, content in ARTIFACTS.items():
        (act.artifacts / name).parent.mkdir(parents=True, exist_ok=True)
        (act.artifacts / name).write_text(content)
    result = act.run("workflow_call", "record.yml")

    assert result.exit_code == 0, result.output[-4000:]
    create, edit = [words for words in gh_calls(act.scratch / "gh.jsonl") if words[1] != "view"]
    assert [word for word in create if word.startswith("build/")] == [
        f"build/artifacts/{name}" for name in ARTIFACTS
    ]
    assert edit == ["release", "edit", "release-a-b", "--draft=false"]
