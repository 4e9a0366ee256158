"""The rules by which each release is of a commit that ci has passed, built by main's own workflow on pinned tools."""

import re
from fnmatch import fnmatch

import pytest

from tests.workflows.files import (
    ACTIONS,
    CHANGES,
    FOLDER,
    ROOT,
    WORKFLOWS,
    events,
    every_job,
    job,
    jobs,
    read,
    runs,
    steps,
)

# Of Ubuntu 24.04 (https://packages.ubuntu.com/noble); a package that a job installs is looked up there first.
PACKAGES = {"nginx-light", "docker-registry"}


def test_runners_and_scanner_are_pinned_by_version() -> None:
    for name, each in every_job():
        assert "uses" in each or each["runs-on"] == "ubuntu-24.04", name
    for path in WORKFLOWS + ACTIONS:
        assert "-latest" not in path.read_text(), path.name
    scans = [step for step in steps(FOLDER / "ci.yml") if "anchore/scan-action" in step.get("uses", "")]

    assert [re.fullmatch(r"v\d+\.\d+\.\d+", step["with"]["grype-version"]) is not None for step in scans] == [
        True
    ]


def test_every_package_that_a_job_installs_is_one_of_ubuntu_24_04() -> None:
    installed = {
        word
        for _, each in every_job()
        for line in runs(each)
        if "apt-get install" in line
        for word in line.partition("apt-get install")[2].split()
        if not word.startswith("--")
    }

    assert installed == PACKAGES


def test_only_what_this_run_has_built_is_attested() -> None:
    attesting = [
        step for step in job("publish.yml", "publish")["steps"] if "actions/attest@" in step.get("uses", "")
    ]

    assert len(attesting) == 2
    for step in attesting:
        assert "steps.release.outputs.built == 'true'" in step["if"]
    for name, each in every_job():
        granted = each["permissions"].get("attestations") == "write"
        assert granted == (
            name in {"publish.yml: publish", "release.yml: publish", "rebuild.yml: release"}
        ), name


def test_every_image_is_verified_before_it_is_deployed_or_promoted_also_by_hand() -> None:
    deploy = job("deploy.yml", "deploy")
    (verify,) = [step for step in deploy["steps"] if "verify-image" in step.get("run", "")]
    lines = runs(deploy)
    script = (ROOT / ".ci" / "verify-image").read_text()

    assert verify["if"] == "vars.ATTESTATIONS != 'off'"
    assert {name for name, each in every_job() if "pipeline promote" in " ".join(runs(each))} == {
        "deploy.yml: deploy"
    }
    assert lines.index(verify["run"]) < min(lines.index(line) for line in lines if CHANGES.search(line))
    assert "--source-ref refs/heads/main" in script
    assert '--signer-workflow "$GITHUB_REPOSITORY/.github/workflows/publish.yml"' in script


def test_a_release_waits_for_ci_of_its_commit() -> None:
    assert runs(job("release.yml", "ci")) == ['.ci/wait-for-check "all green"']
    assert job("ci.yml", "all-green")["name"] == "all green"
    assert job("release.yml", "publish")["needs"] == "ci"
    assert "merge_group" in events(FOLDER / "ci.yml")
    assert "github.sha" in read(FOLDER / "ci.yml")["concurrency"]["group"], "no push cancels ci of another"


@pytest.mark.parametrize(
    ("path", "releases"),
    [
        ("README.md", False),
        ("docs/github.md", False),
        ("docs/images/a.png", False),
        ("changelog.d/1.fix.md", False),
        ("config/staging.yaml", True),
        ("pipeline/run.py", True),
        ("container/src/serve", True),
        ("container/README.md", True),  # the hash that is the image's tag has it
        ("golden/README.md", True),  # and this
    ],
)
def test_a_change_of_documentation_alone_releases_nothing(path: str, releases: bool) -> None:
    """The last pattern that fits a path decides; `**` fits any number of folders."""
    fits = False
    for pattern in read(FOLDER / "release.yml")["on"]["push"]["paths"]:
        if fnmatch(path, pattern.removeprefix("!").replace("**", "*")):
            fits = not pattern.startswith("!")

    assert fits == releases


def test_a_failure_within_a_line_is_a_failure_of_the_step() -> None:
    """GitHub starts bash without pipefail unless a step names its shell: a pipe would hide its first command's end."""
    for path in WORKFLOWS + ACTIONS:
        for step in steps(path):
            line = step.get("run", "").replace("||", "")
            assert "|" not in line or step.get("shell") == "bash", line


def test_the_tag_is_made_at_publish_and_the_release_of_github_at_the_end() -> None:
    """Once main's workflow files differ from the commit's, GitHub refuses a job's token the tag."""
    found = dict(jobs(FOLDER / "release.yml"))

    assert found["tag"]["needs"] == found["staging"]["needs"] == "publish"
    assert set(found["record"]["needs"]) == {"tag", "production"}
    assert found["record"]["uses"] == "./.github/workflows/record.yml"
    script = (ROOT / ".ci" / "github-release").read_text()
    assert "--clobber" not in script
    assert "--target" not in script


def test_a_promotion_by_hand_ends_with_the_release_of_github_too() -> None:
    """record.yml takes files from artifacts alone, so each caller's run has to have made them."""
    record = job("promote.yml", "record")
    uploads = [
        step for step in job("deploy.yml", "deploy")["steps"] if "upload-artifact" in step.get("uses", "")
    ]
    by_hand = {step["with"]["name"] for step in uploads if step["if"].startswith("inputs.artifact == ''")}
    (line,) = runs(job("record.yml", "record"))

    assert (record["needs"], record["uses"]) == ("promote", "./.github/workflows/record.yml")
    assert "if" not in record, "not after a promotion that failed"
    assert by_hand == {"release", "sbom"}
    folders = {word.split("/")[2] for word in line.split()[1:]}
    assert folders == by_hand | {"production", "staging"}, "no file of another artifact"


def test_a_weekly_rebuild_is_a_release_like_any_other() -> None:
    rebuild = read(FOLDER / "rebuild.yml")
    (release,) = rebuild["jobs"].values()

    assert set(rebuild["on"]) == {"schedule", "workflow_dispatch"}
    assert [each["cron"].split()[2:] for each in rebuild["on"]["schedule"]] == [["*", "*", "1"]]
    assert (release["uses"], release["with"]) == ("./.github/workflows/release.yml", {"rebuild": True})
    assert '.venv/bin/python -m pipeline publish --env "$TARGET" --rebuild' in runs(
        job("publish.yml", "publish")
    )
    assert "actions/cache" not in str(job("publish.yml", "publish")), "no layer of an earlier build"


def test_a_push_releases_from_main_alone_and_trains_nothing() -> None:
    release = read(FOLDER / "release.yml")

    assert release["on"]["push"]["branches"] == ["main"]
    assert "pipeline train" not in str(release)
    assert ".ci/refuse-superseded" in str(job("deploy.yml", "deploy")), "an older push may come last"
