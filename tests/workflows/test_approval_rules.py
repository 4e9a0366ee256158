"""The rules by which an approval holds up nothing, and a change that is run again goes to the same release.

act enforces none of them: neither environments nor concurrency groups nor permissions.
"""

import pytest

from tests.workflows.files import (
    CHANGES,
    FOLDER,
    SIGN_IN,
    WORKFLOWS,
    callers,
    environment,
    every_job,
    job,
    jobs,
    jobs_with_role,
    makes_deployment,
    read,
    runs,
    uses,
)

APPROVED = "production-approval"


def test_an_approval_holds_neither_a_group_nor_a_role() -> None:
    """A job's group is taken before its environment's reviewers are asked, and held while they think."""
    asking = {name for name, each in every_job() if APPROVED in str(environment(each))}
    approve = job("approve.yml", "approve")

    assert asking == {"approve.yml: approve"}, "one place asks"
    assert "concurrency" not in approve
    assert SIGN_IN not in uses(approve)
    assert "id-token" not in approve["permissions"]
    assert runs(approve) == [f".ci/require-reviewers {APPROVED}"]


def test_no_group_spans_a_run_that_waits_for_a_reviewer() -> None:
    waiting = {FOLDER / name.partition(":")[0] for name, _ in callers("approve.yml")}
    waiting |= {FOLDER / name.partition(":")[0] for path in waiting for name, _ in callers(path.name)}

    assert {path.name for path in waiting} == {
        "destroy.yml", "load-test.yml", "promote.yml", "rebuild.yml", "release.yml",
    }  # fmt: skip
    for path in waiting:
        assert "concurrency" not in read(path), path.name
    for name, each in callers("approve.yml"):
        assert "concurrency" not in each, name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("release.yml", "production"),
        ("promote.yml", "promote"),
        ("destroy.yml", "destroy"),
        ("load-test.yml", "load"),
    ],
)
def test_what_reaches_production_comes_after_one_approval(file: str, name: str) -> None:
    """All jobs of a load test wait for the same one."""
    needs = job(file, name)["needs"]

    assert "approve" in ([needs] if isinstance(needs, str) else needs)
    assert "if" not in job(file, name), "a skipped or refused approval skips what needs it"
    assert job(file, "approve")["uses"] == "./.github/workflows/approve.yml"


def test_one_change_of_an_environment_at_a_time_in_order_and_none_is_cancelled() -> None:
    """A half-shifted deployment must finish or roll back; none that waits is dropped for a newer one."""
    changing = {name: each for name, each in jobs_with_role() if CHANGES.search(" ".join(runs(each)))}

    assert set(changing) == {
        "deploy.yml: deploy", "deploy.yml: after-promotion", "rollback.yml: rollback", "destroy.yml: destroy",
    }  # fmt: skip
    for name, each in changing.items():
        wanted = {"group": f"deploy-{environment(each)}", "cancel-in-progress": False, "queue": "max"}
        assert each["concurrency"] == wanted, name
    for name, each in every_job():
        if name not in changing:
            assert "deploy-" not in str(each.get("concurrency")), name


def test_a_queue_is_never_one_that_cancels() -> None:
    groups = [read(path).get("concurrency", {}) for path in WORKFLOWS]
    groups += [each.get("concurrency", {}) for _, each in every_job()]
    queued = [group for group in groups if "queue" in group]

    assert len(queued) == 5
    assert all(group["queue"] == "max" and group["cancel-in-progress"] is False for group in queued)


def test_only_a_job_that_puts_a_release_live_is_a_deployment_on_github() -> None:
    found = {name for name, each in every_job() if makes_deployment(each)}

    assert found == {"deploy.yml: deploy", "rollback.yml: rollback"}


def test_a_rollback_asks_nobody_and_waits_for_nothing_but_the_change_under_way() -> None:
    found = dict(jobs(FOLDER / "rollback.yml"))

    assert set(found) == {"resolve", "rollback", "status"}
    assert {environment(each) for each in found.values()} == {"${{ inputs.environment }}"}
    assert "concurrency" not in found["resolve"]
    assert "concurrency" not in found["status"]
    assert "attestation" not in str(found), "it does not depend on what GitHub may not answer"


def test_a_rollback_or_promotion_that_is_run_again_is_of_the_same_release() -> None:
    """The release is chosen in the first job, and named to whatever changes something."""
    rollback, deploy = job("rollback.yml", "rollback"), job("deploy.yml", "deploy")
    resolved = "${{ needs.resolve.outputs.release }}"

    assert rollback["env"]["RELEASE"] == resolved
    assert [line for line in runs(rollback) if "--to" in line] == runs(rollback)
    assert '--to "$RELEASE"' in runs(rollback)[0]
    fetched = [line for line in runs(deploy) if "fetch-release" in line]
    assert fetched == ['.venv/bin/python -m pipeline fetch-release --env "$TARGET" --release "$RELEASE"']
    assert job("promote.yml", "promote")["with"]["release"] == "${{ inputs.release }}"
    assert job("deploy.yml", "after-promotion")["env"]["RELEASE"] == "${{ needs.deploy.outputs.release }}"


@pytest.mark.parametrize("file", ["rollback.yml", "deploy.yml"])
def test_what_is_live_is_shown_by_a_job_of_its_own_however_the_change_ended(file: str) -> None:
    """So a failure to show it does not make the change look as if it had failed."""
    status = job(file, "status")

    assert status["if"].startswith("always()")
    assert runs(status) == ['.venv/bin/python -m pipeline status --env "$TARGET"']
    for name, each in jobs(FOLDER / file):
        assert name == "status" or not any("pipeline status" in line for line in runs(each)), name


def test_the_environment_that_was_promoted_from_is_changed_by_its_own_role() -> None:
    after = job("deploy.yml", "after-promotion")

    assert (after["needs"], after["if"]) == ("deploy", "inputs.how == 'promote'")
    assert environment(after) == after["env"]["TARGET"] == "${{ inputs.before }}"
    for name, each in callers("deploy.yml"):
        promotes = each["with"]["how"] == "promote"
        assert (each["with"].get("before") == "staging") == promotes, name
